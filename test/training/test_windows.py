import numpy as np
import pytest

from carp_ros.inference.layout import TOOL
from carp_ros.recording.demonstrations import Frames
from carp_ros.training.action_error import action_errors
from carp_ros.training.windows import Windows, read_windows, readable, split_episodes


class Dataset:
    """Two episodes, of 3 and 2 frames, whose x is the frame's number."""

    root = "dataset"
    state = action = TOOL

    def __init__(self, tasks=("cup", "cup")):
        numbers = np.zeros((5, 10), np.float32)
        numbers[:, 0] = np.arange(5)
        names = tuple(dict.fromkeys(tasks))
        of_frames = np.array([names.index(tasks[e]) for e in (0, 0, 0, 1, 1)])
        self.numbers = Frames(numbers, numbers.copy(), np.array([0, 0, 0, 1, 1]), of_frames, names)


def test_a_window_begins_with_its_frame_and_ends_with_its_episodes_last_action():
    windows = read_windows(Dataset(), 4)
    assert windows.actions[:, :, 0].tolist() == [
        [0, 1, 2, 2],
        [1, 2, 2, 2],
        [2, 2, 2, 2],
        [3, 4, 4, 4],
        [4, 4, 4, 4],
    ]


def test_tasks_are_numbered_as_they_come():
    windows = read_windows(Dataset(("bowl", "cup")), 4)
    assert windows.task_names == ("bowl", "cup")
    assert windows.tasks.tolist() == [0, 0, 0, 1, 1]


def test_an_action_that_is_not_finite_is_refused_with_its_place():
    dataset = Dataset()
    dataset.numbers.actions[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"action of frame 4 \(episode 1\)"):
        read_windows(dataset, 4)


def test_no_episode_is_both_trained_on_and_held_out():
    windows = read_windows(Dataset(), 4)
    trained, held_out = split_episodes(windows, 0.02, 0, 0)
    assert {0, 1} == set(windows.episodes[trained]) | set(windows.episodes[held_out])
    assert not set(windows.episodes[trained]) & set(windows.episodes[held_out])


def test_errors_are_in_metres_and_radians():
    true = np.zeros((1, 2, 10))
    true[..., 3] = true[..., 7] = 1.0
    moved = true.copy()
    moved[..., 0] += 0.03
    turned = true.copy()
    c, s = np.cos(0.1), np.sin(0.1)
    turned[..., 3:9] = [2 * c, 2 * s, 0.0, -s, c, 0.0]  # of any length
    assert action_errors(moved, true, TOOL) == pytest.approx(
        {"position_error_m": 0.03, "rotation_error_rad": 0.0, "gripper_error": 0.0}
    )
    assert action_errors(turned, true, TOOL)["rotation_error_rad"] == pytest.approx(0.1)


def windows_of(episodes: int, rare: bool = False) -> Windows:
    tasks = np.zeros(2 * episodes, np.int64)
    tasks[-2:] = rare
    numbers = np.zeros((2 * episodes, 10), np.float32)
    names = ("cup", "bowl") if rare else ("cup",)
    return Windows(numbers, numbers[:, None], tasks, np.arange(2 * episodes) // 2, names)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_episodes_to_hold_one_out_are_refused(count):
    with pytest.raises(ValueError, match=rf"has {count} episodes, each the only .* more"):
        split_episodes(windows_of(count), 0.02, 0, 0)


def test_what_can_not_be_split_is_refused_with_the_name_of_its_dataset():
    windows = read_windows(Dataset(("bowl", "cup")), 4)
    with pytest.raises(ValueError, match=rf"{Dataset.root} has 2 episodes, each the only one of a"):
        split_episodes(windows, 0.02, 0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_only_episode_of_a_task_is_trained_on(seed):
    windows = windows_of(3, rare=True)
    trained, held_out = split_episodes(windows, 0.9, 0, seed)
    assert set(windows.tasks[trained]) == {0, 1}
    assert len(set(windows.episodes[held_out])) == 1


def test_episodes_that_can_not_be_read_take_their_task_along():
    windows = windows_of(4, rare=True)
    left = readable(windows, {3})
    assert (left.task_names, set(left.tasks)) == (("cup",), {0})
    assert len(left) == len(windows)
    trained, held_out = split_episodes(left, 0.02, 0, 0, {3})
    assert set(left.episodes[trained]) | set(left.episodes[held_out]) == {0, 1, 2}
