"""The graphs of a CARP bundle, with bound buffers: image encoders, condition, scales, decoder.

An output `next_<name>` is the next pass's input `<name>`, in the same buffer. The decoder is bound
to the latent of every scale, so that any scale can be the last.
"""

from __future__ import annotations

from collections.abc import Mapping

from carp_ros.inference.bundle import Bundle, Tensor
from carp_ros.inference.session import Buffer, Run, Runtime, Session
from carp_ros.policies.carp_section import CarpSection
from carp_ros.policies.graphs import matching, require_image_size

_NEXT = "next_"


class CarpPasses:
    """The loaded graphs, bound to their buffers.

    Args:
        bundle: The bundle.
        section: Its CARP section.
        runtime: Runs the graphs.

    Attributes:
        inputs: Buffers of the inputs from outside: images, state and task.
        actions: Buffer of the decoded actions, (1, H, A).
        encoders: By camera: computes the features of its image.
        condition: Computes the scales' common inputs from features, state and task.
        scales: Computes each scale, in order.
        decode: Computes the actions from the latent of each scale.

    Raises:
        ValueError: If graphs do not match each other or the manifest.
    """

    def __init__(self, bundle: Bundle, section: CarpSection, runtime: Runtime) -> None:
        self._runtime = runtime
        self.inputs: dict[str, Buffer] = {}
        self.encoders: dict[str, Run] = {}
        features: dict[str, Buffer] = {}
        for camera in bundle.manifest.cameras:
            session = runtime.session(bundle.graph(f"vision_{camera}"))
            require_image_size(session, camera, bundle.manifest.cameras[camera])
            image, seen = self._take(session, {}), self._outputs(session)
            self.encoders[camera] = session.bind({**image, **seen})
            features |= seen
        session = runtime.session(bundle.graph("condition"))
        given = self._outputs(session)
        self.condition = session.bind({**self._take(session, features), **given})
        self.scales: list[Run] = []
        self._tokens: list[Buffer] = []
        self._log_likelihoods: list[Buffer] = []
        latents: list[Buffer] = []
        before = given
        for k in range(len(section.scales)):
            session = runtime.session(bundle.graph(f"scale_{k}"))
            before = self._bind_scale(f"scale_{k}", session, {**given, **before})
            latents.append(before["latent"])
        decoder = runtime.session(bundle.graph("decoder"))
        manifest = bundle.manifest
        expected = (1, manifest.horizon, len(manifest.action.names))
        if decoder.outputs["actions"].shape != expected:
            raise ValueError(
                f"decoder gives actions of shape {decoder.outputs['actions'].shape}; the manifest"
                f" says {expected}: export again"
            )
        self.actions = runtime.buffer(decoder.outputs["actions"])
        self.decode = [
            decoder.bind(
                matching("decoder", decoder.inputs, {"latent": latent, **self.inputs})
                | {"actions": self.actions}
            )
            for latent in latents
        ]

    def tokens(self, k: int) -> Tensor:
        """Return the tokens of scale `k`, flat; valid until it is run again."""
        return self._tokens[k].read().reshape(-1)

    def log_likelihood(self, k: int) -> float:
        """Return the log-likelihood of scale `k`, summed over its tokens."""
        return float(self._log_likelihoods[k].read().reshape(()))

    def _take(self, session: Session, features: Mapping[str, Buffer]) -> dict[str, Buffer]:
        """Return buffers for a graph's inputs: the features, and new ones for outside inputs."""
        outside = {
            name: self._runtime.buffer(spec)
            for name, spec in session.inputs.items()
            if name not in features
        }
        self.inputs |= outside
        return {**features, **outside}

    def _outputs(self, session: Session) -> dict[str, Buffer]:
        return {name: self._runtime.buffer(spec) for name, spec in session.outputs.items()}

    def _bind_scale(
        self, name: str, session: Session, before: Mapping[str, Buffer]
    ) -> dict[str, Buffer]:
        """Bind a pass to existing buffers; return the buffers that it leaves for the next pass."""
        given = self._outputs(session)
        self.scales.append(session.bind(matching(name, session.inputs, before) | given))
        self._tokens.append(given["tokens"])
        self._log_likelihoods.append(given["log_likelihood"])
        return {
            key.removeprefix(_NEXT): buffer
            for key, buffer in given.items()
            if key.startswith(_NEXT)
        }
