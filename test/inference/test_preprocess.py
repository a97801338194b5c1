import dataclasses

import numpy as np
import pytest

from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import ImageSize, load_bundle
from carp_ros.inference.layout import vector_from_tool
from carp_ros.inference.preprocess import network_image, policy_inputs
from carp_ros.types import Observation, Pose

RNG = np.random.default_rng(0)
UPRIGHT = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))


def observation(**images):
    return Observation(5, images, dict.fromkeys(images, 5), UPRIGHT, 0.5, np.zeros(6))


@pytest.fixture
def manifest(tiny_bundle):
    return load_bundle(tiny_bundle).manifest


def test_a_pixel_is_the_mean_of_the_area_that_it_covers():
    image = RNG.integers(0, 256, (8, 12, 3), np.uint8)
    small = network_image(image, ImageSize(4, 2))
    means = image.reshape(2, 4, 4, 3, 3).mean(axis=(1, 3))
    assert small.dtype == np.uint8
    assert abs(small.astype(float) - means).max() <= 0.5


def test_an_image_of_the_right_size_is_passed_on_unchanged():
    image = RNG.integers(0, 256, (24, 32, 3), np.uint8)
    assert (network_image(image, ImageSize(32, 24)) == image).all()


@pytest.mark.parametrize("size", [ImageSize(16, 12), ImageSize(32, 24)])
def test_a_view_with_its_channels_reversed_is_an_image_like_any_other(size):
    image = RNG.integers(0, 256, (24, 32, 3), np.uint8)
    reversed_image = network_image(image[:, :, ::-1], size)
    assert (reversed_image == network_image(image, size)[:, :, ::-1]).all()
    assert reversed_image.flags.c_contiguous


def test_the_policy_is_given_images_and_state_as_the_contract_has_them(manifest):
    image = RNG.integers(0, 256, (240, 320, 3), np.uint8)
    inputs = policy_inputs(
        observation(wrist_cam=image, third_cam=image), manifest, 0, manifest.cameras
    )
    assert {name: (array.shape, array.dtype.name) for name, array in inputs.items()} == {
        "image_wrist_cam": ((1, 24, 32, 3), "uint8"),
        "image_third_cam": ((1, 24, 32, 3), "uint8"),
        "state": ((1, 10), "float32"),
    }
    np.testing.assert_allclose(inputs["state"][0], vector_from_tool(UPRIGHT, 0.5), atol=1e-7)


def test_a_task_is_named_only_where_there_are_several(manifest):
    image = np.zeros((24, 32, 3), np.uint8)
    several = dataclasses.replace(manifest, tasks=("cup", "bowl"))
    inputs = policy_inputs(
        observation(wrist_cam=image, third_cam=image), several, 1, manifest.cameras
    )
    assert inputs["task"].tolist() == [1]


def test_a_missing_image_is_named(manifest):
    with pytest.raises(PolicyError, match=r"lacks images of \['third_cam'\]; it has \['wrist_cam"):
        policy_inputs(
            observation(wrist_cam=np.zeros((2, 2, 3), np.uint8)), manifest, 0, manifest.cameras
        )
