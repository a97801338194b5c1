import dataclasses

import numpy as np
import pytest

from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.layout import TOOL_AND_WRENCH, VectorLayout, vector_from_tcp_pose
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.inference.preprocess import image_input, policy_inputs, resized, state_vector
from carp_ros.types import Observation, Pose

RNG = np.random.default_rng(0)
UPRIGHT = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))


def observation(**images):
    return Observation(5, images, dict.fromkeys(images, 5), UPRIGHT, 0.5, np.zeros(6))


@pytest.fixture
def spec(tiny_bundle):
    return load_bundle(tiny_bundle).spec


def test_a_pixel_is_the_mean_of_the_area_that_it_covers():
    image = RNG.integers(0, 256, (8, 12, 3), np.uint8)
    small = resized(image, ImageSize(4, 2))
    means = image.reshape(2, 4, 4, 3, 3).mean(axis=(1, 3))
    assert small.dtype == np.uint8
    assert abs(small.astype(float) - means).max() <= 0.5


def test_an_image_of_the_right_size_is_passed_on_unchanged():
    image = RNG.integers(0, 256, (24, 32, 3), np.uint8)
    assert (resized(image, ImageSize(32, 24)) == image).all()


@pytest.mark.parametrize("size", [ImageSize(16, 12), ImageSize(32, 24)])
def test_a_view_with_its_channels_reversed_is_an_image_like_any_other(size):
    image = RNG.integers(0, 256, (24, 32, 3), np.uint8)
    reversed_image = resized(image[:, :, ::-1], size)
    assert (reversed_image == resized(image, size)[:, :, ::-1]).all()
    assert reversed_image.flags.c_contiguous


def test_the_policy_is_given_images_and_state_as_the_contract_has_them(spec):
    image = RNG.integers(0, 256, (240, 320, 3), np.uint8)
    inputs = policy_inputs([observation(wrist_cam=image, third_cam=image)], spec, 0, spec.cameras)
    assert {name: (array.shape, array.dtype.name) for name, array in inputs.items()} == {
        "image_wrist_cam": ((1, 24, 32, 3), "uint8"),
        "image_third_cam": ((1, 24, 32, 3), "uint8"),
        "state": ((1, 10), "float32"),
    }
    np.testing.assert_allclose(inputs["state"][0], vector_from_tcp_pose(UPRIGHT, 0.5), atol=1e-7)


def test_a_task_is_named_only_where_there_are_several(spec):
    image = np.zeros((24, 32, 3), np.uint8)
    several = dataclasses.replace(spec, tasks=("cup", "bowl"))
    inputs = policy_inputs(
        [observation(wrist_cam=image, third_cam=image)], several, 1, spec.cameras
    )
    assert inputs["task"].tolist() == [1]


def test_a_missing_image_is_named(spec):
    with pytest.raises(PolicyError, match=r"lacks images of \['third_cam'\]; it has \['wrist_cam"):
        policy_inputs([observation(wrist_cam=np.zeros((2, 2, 3), np.uint8))], spec, 0, spec.cameras)


def test_a_history_is_given_oldest_first(spec):
    images = [np.full((24, 32, 3), brightness, np.uint8) for brightness in (10, 20)]
    past, now = (observation(wrist_cam=image, third_cam=image) for image in images)
    now = dataclasses.replace(now, gripper=1.0)
    inputs = policy_inputs([past, now], spec, 0, spec.cameras)
    assert inputs["image_wrist_cam"][:, 0, 0, 0].tolist() == [10, 20]
    assert inputs["state"].shape == (1, 20)
    assert (inputs["state"][0, 9], inputs["state"][0, 19]) == (0.5, 1.0)


def test_a_live_image_takes_the_way_of_the_datasets(spec):
    """`carp convert` resized the images before training resized them again."""
    image = RNG.integers(0, 256, (240, 320, 3), np.uint8)
    camera = dataclasses.replace(spec.cameras["wrist_cam"], dataset=ImageSize(50, 60))
    stored = resized(image, ImageSize(50, 60))
    assert (image_input(image, camera)[0] == resized(stored, camera.size)).all()
    assert (image_input(image, camera)[0] != resized(image, camera.size)).any()


def test_a_state_is_what_its_layout_says():
    seen = dataclasses.replace(observation(), joints=np.arange(6.0))
    joints = VectorLayout(
        "joints", (*"abcdef", "gripper"), ("rad",) * 6 + ("1",), (-9.0,) * 7, (9.0,) * 7
    )
    assert state_vector(seen, joints).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.5]
    free = VectorLayout("free", ("a", "b"), ("?", "?"), (0.0, 0.0), (1.0, 1.0))
    told = dataclasses.replace(seen, numbers=np.array([7.0, 8.0]))
    assert state_vector(told, free).tolist() == [7.0, 8.0]
    with pytest.raises(PolicyError, match="has none for free numbers; expected 2: a, b"):
        state_vector(seen, free)
    with pytest.raises(PolicyError, match="observation has 4 numbers for joints and a gripper"):
        state_vector(dataclasses.replace(seen, joints=np.zeros(3)), joints)


def test_a_state_with_a_wrench_ends_with_it_and_one_without_is_refused():
    felt = dataclasses.replace(observation(), wrench=np.arange(6.0))
    state = state_vector(felt, TOOL_AND_WRENCH)
    np.testing.assert_array_equal(state, [*vector_from_tcp_pose(UPRIGHT, 0.5), *np.arange(6.0)])
    with pytest.raises(PolicyError, match="10 numbers for a tool, a gripper and a wrench"):
        state_vector(observation(), TOOL_AND_WRENCH)
