"""The image sizes a dataset accepts: its video stores colour per 2 x 2 pixels."""

from __future__ import annotations


def require_size(width_px: int, height_px: int) -> None:
    """Reject an image size that the video format can't have.

    Raises:
        ValueError: If a number is odd.
    """
    if width_px % 2 or height_px % 2:
        raise ValueError(
            f"images are of {width_px}x{height_px} px; expected even numbers, as video has them:"
            " set the camera so, or convert with --image-size-px"
        )
