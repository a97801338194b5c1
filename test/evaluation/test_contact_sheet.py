import numpy as np
import pytest
from PIL import Image

from carp_ros.evaluation.contact_sheet import Strip, contact_sheet, write_contact_sheet


def strip(success, *shades) -> Strip:
    return Strip("seed 1", success, [np.full((20, 30, 3), s, np.uint8) for s in shades])


def test_every_image_is_on_the_sheet_in_order():
    sheet = np.array(contact_sheet([strip(True, 10, 20), strip(False, 60, 80)], columns=1))
    places = [np.argwhere((sheet == shade).all(axis=-1)) for shade in (10, 20, 60, 80)]
    assert all(len(place) >= 20 * 30 for place in places)
    corners = [tuple(place.mean(axis=0)) for place in places]
    assert corners == sorted(corners)


def test_failures_are_marked_in_another_colour():
    good, bad = (np.array(contact_sheet([strip(s, 128)])) for s in (True, False))
    assert (good != bad).any()


def test_a_sheet_is_written_as_png(tmp_path):
    path = tmp_path / "new" / "sheet.png"
    write_contact_sheet(path, [strip(True, 1), strip(True, 2), strip(True, 3)])
    assert Image.open(path).format == "PNG"


def test_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected at least one episode"):
        write_contact_sheet(tmp_path / "sheet.png", [])
