"""Errors of predicted actions, in physical units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import Layout


def action_errors(
    predicted: npt.NDArray[np.floating], true: npt.NDArray[np.floating], layout: Layout
) -> dict[str, float]:
    """Return mean errors over all steps, of actions (B, H, A).

    Args:
        predicted: A policy's actions.
        true: The commanded actions.
        layout: Meaning of the numbers.

    Returns:
        For a tool `position_error_m`, `rotation_error_rad` (the angle between the two) and
        `gripper_error`; for joints `joint_error_rad` and `gripper_error`; else `action_error`.
    """
    off = np.abs(predicted - true)
    if layout.kind == "free":
        return {"action_error": float(off.mean())}
    gripper = {"gripper_error": float(off[..., -1].mean())}
    if layout.kind == "joints":
        return {"joint_error_rad": float(off[..., :-1].mean()), **gripper}
    position = np.linalg.norm(predicted[..., :3] - true[..., :3], axis=-1)
    turn = np.einsum("...ij,...ij->...", _frames(predicted), _frames(true))  # trace of the product
    angle = np.arccos(np.clip((turn - 1.0) / 2.0, -1.0, 1.0))
    return {
        "position_error_m": float(position.mean()),
        "rotation_error_rad": float(angle.mean()),
        **gripper,
    }


def _frames(actions: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the Gram-Schmidt frames (B, H, 3, 3) of rot6d, axes in rows."""
    first, second = actions[..., 3:6].astype(np.float64), actions[..., 6:9].astype(np.float64)
    x = first / np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-9)
    y = second - x * np.sum(x * second, axis=-1, keepdims=True)
    y /= np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), 1e-9)
    return np.stack([x, y, np.cross(x, y)], axis=-2)
