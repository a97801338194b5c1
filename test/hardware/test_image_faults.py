"""Tests for hardware/image_faults.py on photographs that come with matplotlib."""

from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from carp_ros.hardware.image_faults import ImageFault, ImageWatch, image_faults, in_sentences

PICTURES = sorted(
    path
    for path in (Path(mpl.get_data_path()) / "sample_data").iterdir()
    if path.name in ("grace_hopper.jpg", "Minduka_Present_Blue_Pack.png", "logo2.png")
)
RNG = np.random.default_rng(0)


def picture(path, blur_px=0.0, size_px=(640, 480)):
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    image = cv2.resize(image, size_px)
    return cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px else image


def noisy(image, sigma=4.0):
    return np.clip(image + RNG.normal(0.0, sigma, image.shape), 0, 255).astype(np.uint8)


def plain(grey):
    return np.full((480, 640, 3), grey, np.uint8)


@pytest.mark.parametrize("size_px", [(640, 480), (320, 240), (1280, 720)])
@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_good_picture_is_none_of_them_and_badly_focused_it_is_blurred(path, size_px):
    scale = size_px[0] / 640
    for more in (lambda image: image, noisy):
        assert image_faults(more(picture(path, 0.0, size_px))) == ()
        assert image_faults(more(picture(path, 2.0 * scale, size_px))) == ()
        assert image_faults(more(picture(path, 8.0 * scale, size_px))) == (ImageFault.BLURRED,)


def test_a_covered_lens_a_glare_and_a_plain_wall_have_their_codes():
    assert image_faults(noisy(plain(0))) == (ImageFault.BLACK,)
    assert image_faults(noisy(plain(255))) == (ImageFault.SATURATED,)
    assert image_faults(noisy(plain(120))) == (ImageFault.BLURRED,)


def test_one_bright_lamp_in_the_dark_is_not_black_and_a_small_glare_is_not_saturated():
    lamp = plain(0)
    lamp[200:280, 300:380] = 200
    assert ImageFault.BLACK not in image_faults(lamp)
    glare = picture(PICTURES[0])
    glare[:, :200] = 255
    assert image_faults(glare) == ()


def watched(images, *, has_noise):
    watch = ImageWatch(has_noise=has_noise)
    for image in images:
        watch.take(image)
    return watch


def test_a_camera_that_repeats_itself_is_frozen_unless_its_images_have_no_noise():
    still = picture(PICTURES[0])

    assert watched([still] * 30, has_noise=True).faults == (ImageFault.FROZEN,)
    assert watched([still] * 30, has_noise=False).faults == ()
    assert watched([noisy(still, 1.0) for _ in range(30)], has_noise=True).faults == ()


def test_faults_are_of_the_last_second_and_go_away_with_it():
    images = [noisy(plain(0), 1.0) for _ in range(30)]
    watch = watched(images[:29], has_noise=True)
    assert not watch.judged
    watch.take(images[29])
    assert (watch.judged, watch.faults) == (True, (ImageFault.BLACK,))
    for _ in range(30):
        watch.take(noisy(picture(PICTURES[0]), 1.0))
    assert watch.faults == ()


def test_people_read_the_code_and_what_to_do():
    said = in_sentences((ImageFault.BLACK, ImageFault.FROZEN))

    assert said.startswith("BLACK (nearly black: remove the lens cap")
    assert "; FROZEN (" in said
