"""Images that are encoded as they arrive, before the policy is asked about them."""

from __future__ import annotations

from collections.abc import Container, Mapping

from carp_ros.inference.bundle import image_name
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import CameraInput
from carp_ros.inference.preprocess import image_input
from carp_ros.inference.session import Buffer, Run, write_inputs


class EncodedImages:
    """Runs the image encoders, and knows which images of an observation they have seen.

    Args:
        cameras: Input of each camera.
        inputs: Buffers of the graphs' inputs, images among them.
        encoders: By camera: computes the features of its image.
    """

    def __init__(
        self,
        cameras: Mapping[str, CameraInput],
        inputs: Mapping[str, Buffer],
        encoders: Mapping[str, Run],
    ) -> None:
        self._cameras, self._inputs, self._encoders = cameras, inputs, encoders
        self._encoded_ns: dict[str, int] = {}
        """Capture times of images that are encoded, but not used yet."""

    def forget(self) -> None:
        """Forget all images."""
        self._encoded_ns.clear()

    def encode(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Encode an image in advance; see `Policy.encode_image`."""
        self._encoded_ns.pop(camera, None)
        size = self._cameras[camera]
        write_inputs(self._inputs, {image_name(camera): image_input(image, size)})
        self._encoders[camera]()
        self._encoded_ns[camera] = stamp_ns

    def missing(self, stamps_ns: Mapping[str, int]) -> list[str]:
        """Return the cameras whose images are yet to be encoded, and forget the others.

        Args:
            stamps_ns: Capture times of an observation's images, by camera.
        """
        encoded_ns = self._encoded_ns
        names = [name for name in self._cameras if encoded_ns.get(name) != stamps_ns.get(name, -1)]
        encoded_ns.clear()  # the clock might be set back, and an old stamp occur again
        return names

    def run(self, written: Container[str]) -> None:
        """Encode the images among the inputs that were just written."""
        for camera, encode in self._encoders.items():
            if image_name(camera) in written:
                encode()
