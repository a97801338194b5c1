"""From an observation to what a policy takes; the trainer feeds its network through this, too.

Resizing is done here, on whole bytes; crop and normalisation are inside the graphs, so that every
number has one home.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import ImageSize, Manifest, Tensor, image_name
from carp_ros.inference.layout import vector_from_tool
from carp_ros.inference.observation import Image
from carp_ros.types import Observation


def network_image(image: Image, size: ImageSize) -> Image:
    """Return a camera's image as the network sees it.

    Args:
        image: RGB of shape (H, W, 3), as the camera gives it.
        size: Wanted, in [px]; each pixel becomes the mean of the area that it covers.
    """
    if image.shape[:2] == (size.height_px, size.width_px):
        return np.ascontiguousarray(image)
    resized = cv2.resize(image, (size.width_px, size.height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def image_input(image: Image, size: ImageSize) -> Tensor:
    """Return the input of a camera's image, uint8 of shape (1, h, w, 3).

    Args:
        image: RGB of shape (H, W, 3), as the camera gives it.
        size: What the policy takes.
    """
    return network_image(image, size)[None]


def policy_inputs(
    observation: Observation, manifest: Manifest, task: int, cameras: Iterable[str]
) -> dict[str, Tensor]:
    """Return what a policy takes of an observation.

    Args:
        observation: Of one moment.
        manifest: Of the bundle.
        task: Its number, from `Bundle.task_number`.
        cameras: Whose images are wanted; state and task always are.

    Raises:
        PolicyError: If a camera's image is missing.
    """
    images, sizes = observation.images, manifest.cameras
    missing = [name for name in sizes if name not in images]
    if missing:
        raise PolicyError(f"observation lacks images of {missing}; it has {list(images)}")
    inputs = {image_name(name): image_input(images[name], sizes[name]) for name in cameras}
    state = vector_from_tool(observation.tool, observation.gripper)
    inputs["state"] = state.astype(np.float32)[None]
    if len(manifest.tasks) > 1:
        inputs["task"] = np.array([task], np.int64)
    return inputs
