"""Contact sheets of episodes: first, middle and last image of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

_CAPTION_PX = 22
_MARGIN_PX = 4
_PAPER, _INK, _GOOD, _BAD = (250, 250, 248), (40, 40, 40), (34, 128, 64), (190, 48, 40)


@dataclass(frozen=True)
class Strip:
    """One episode: a caption, whether it succeeded, and images (H, W, 3) of equal size."""

    caption: str
    success: bool
    images: Sequence[npt.NDArray[np.uint8]]


def contact_sheet(strips: Sequence[Strip], columns: int = 2) -> Image.Image:
    """Lay out the strips on one sheet, in reading order.

    Args:
        strips: At least one, all with the same number of images of the same size.
        columns: Number of strips side by side.

    Raises:
        ValueError: If there is nothing to show.
    """
    if not strips or not strips[0].images:
        raise ValueError("no images for a contact sheet; expected at least one episode")
    height, width = strips[0].images[0].shape[:2]
    columns = min(columns, len(strips))
    cell_px = (
        len(strips[0].images) * width + 2 * _MARGIN_PX,
        height + _CAPTION_PX + _MARGIN_PX,
    )
    rows = -(-len(strips) // columns)
    sheet = Image.new("RGB", (columns * cell_px[0], rows * cell_px[1]), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for index, strip in enumerate(strips):
        left = index % columns * cell_px[0] + _MARGIN_PX
        top = index // columns * cell_px[1]
        draw.ellipse((left, top + 6, left + 10, top + 16), fill=_GOOD if strip.success else _BAD)
        draw.text((left + 16, top + 3), strip.caption, fill=_INK, font=font)
        for column, image in enumerate(strip.images):
            sheet.paste(Image.fromarray(image), (left + column * width, top + _CAPTION_PX))
    return sheet


def write_contact_sheet(path: Path, strips: Sequence[Strip]) -> None:
    """Write a contact sheet as PNG.

    Raises:
        ValueError: If there is nothing to show or the file cannot be written.
    """
    sheet = contact_sheet(strips)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, format="PNG")
    except OSError as error:
        raise ValueError(f"cannot write the contact sheet {path}: {error}") from error
