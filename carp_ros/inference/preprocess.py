"""Converts observations to a policy's inputs; used in training, too.

Images are resized here, as bytes; crop and normalisation are inside the graphs, so that each
setting exists in one place only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import Tensor, image_name
from carp_ros.inference.layout import Layout, vector_from_tcp_pose
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import CameraInput, ImageSize, PolicySpec
from carp_ros.types import Array, Observation


def resized(image: Image, size: ImageSize) -> Image:
    """Resize an image.

    Args:
        image: RGB of shape (H, W, 3).
        size: Target size; each pixel becomes the mean of the area that it covers.
    """
    if image.shape[:2] == (size.height_px, size.width_px):
        return np.ascontiguousarray(image)
    smaller = cv2.resize(image, (size.width_px, size.height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.uint8)


def image_input(image: Image, camera: CameraInput) -> Tensor:
    """Return the input of a camera's image, uint8 of shape (1, h, w, 3).

    Args:
        image: RGB of shape (H, W, 3), as the camera gives it.
        camera: The policy's input, and the size of the dataset's images if they were resized.
    """
    if camera.dataset is not None:
        image = resized(image, camera.dataset)
    return resized(image, camera.size)[None]


def state_vector(observation: Observation, layout: Layout) -> Array:
    """Return the state vector, of shape (S,).

    Raises:
        PolicyError: If the observation lacks numbers of the layout.
    """
    if layout.kind == "free":
        vector = observation.numbers
        what = "free numbers"
    elif layout.kind == "joints":
        vector = np.append(observation.joints, observation.gripper)
        what = "joints and a gripper"
    else:
        vector = vector_from_tcp_pose(observation.tcp_pose, observation.gripper)
        what = "a tool and a gripper"
        if layout.has_wrench:
            what = "a tool, a gripper and a wrench"
            if observation.wrench is not None:
                vector = np.concatenate([vector, observation.wrench])
    if vector is None or len(vector) != len(layout):
        count = "none" if vector is None else f"{len(vector)} numbers"
        raise PolicyError(
            f"observation has {count} for {what}; expected {len(layout)}: {', '.join(layout.names)}"
        )
    return vector


def policy_inputs(
    observations: Sequence[Observation], spec: PolicySpec, task: int, cameras: Iterable[str]
) -> dict[str, Tensor]:
    """Return the inputs of a policy's graphs from T observations.

    Args:
        observations: T of them, newest last.
        spec: Of the policy.
        task: Its index, from `PolicySpec.task_number`.
        cameras: Cameras whose images to include; state and task always are.

    Returns:
        `image_<camera>`, uint8 of shape (T, h, w, 3); `state`, float32 of shape (1, T S); `task`,
        int64 of shape (1,), if there are several tasks.

    Raises:
        PolicyError: If a camera's image is missing, or the state has another layout.
    """
    for observation in observations:
        missing = [name for name in spec.cameras if name not in observation.images]
        if missing:
            raise PolicyError(
                f"observation lacks images of {missing}; it has {list(observation.images)}"
            )
    inputs = {
        image_name(name): np.concatenate(
            [image_input(o.images[name], spec.cameras[name]) for o in observations]
        )
        for name in cameras
    }
    states = [state_vector(observation, spec.state) for observation in observations]
    inputs["state"] = np.concatenate(states).astype(np.float32)[None]
    if len(spec.tasks) > 1:
        inputs["task"] = np.array([task], np.int64)
    return inputs
