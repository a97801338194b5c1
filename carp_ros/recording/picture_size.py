"""Which sizes of pictures a dataset takes: its video has colour for two by two pixels."""

from __future__ import annotations


def require_size(width_px: int, height_px: int) -> None:
    """Refuse a size that video can't have.

    Raises:
        ValueError: If a number is odd.
    """
    if width_px % 2 or height_px % 2:
        raise ValueError(
            f"images are of {width_px}x{height_px} px; expected even numbers, as video has them:"
            " set the camera so, or convert with --image-size-px"
        )
