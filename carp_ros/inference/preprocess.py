"""From an observation to what the encoder takes; the trainer feeds its network through this, too.

Resizing is done here, on whole bytes; crop and normalisation are inside the graphs, so that every
number has one home.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import ImageSize, Manifest, Tensor
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


def image_inputs(
    images: Mapping[str, Image], cameras: Mapping[str, ImageSize]
) -> dict[str, Tensor]:
    """Return the encoder's `image_<camera>` inputs, uint8 of shape (1, h, w, 3).

    Args:
        images: By camera, RGB of shape (H, W, 3).
        cameras: What the network takes of each.

    Raises:
        PolicyError: If a camera's image is missing.
    """
    missing = [name for name in cameras if name not in images]
    if missing:
        raise PolicyError(f"observation lacks images of {missing}; it has {list(images)}")
    return {
        f"image_{name}": network_image(images[name], size)[None] for name, size in cameras.items()
    }


def encoder_inputs(observation: Observation, manifest: Manifest, task: int) -> dict[str, Tensor]:
    """Return all inputs of the encoder.

    Args:
        observation: Of one moment.
        manifest: Of the bundle.
        task: Its number, from `Bundle.task_number`.

    Raises:
        PolicyError: If a camera's image is missing.
    """
    inputs = image_inputs(observation.images, manifest.cameras)
    state = vector_from_tool(observation.tool, observation.gripper)
    inputs["state"] = state.astype(np.float32)[None]
    if len(manifest.tasks) > 1:
        inputs["task"] = np.array([task], np.int64)
    return inputs
