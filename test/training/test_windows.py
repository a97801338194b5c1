import numpy as np
import pytest

from carp_ros.training.action_error import action_errors
from carp_ros.training.windows import Windows, read_windows, split_episodes


class Reader:
    """A dataset of two episodes, of 3 and 2 frames, whose x is the frame's number."""

    root = "dataset"

    def __init__(self, tasks=("cup", "cup")):
        bounds = ((0, 3), (3, 5))
        self.episodes = [
            {"dataset_from_index": first, "dataset_to_index": end, "task": task}
            for (first, end), task in zip(bounds, tasks)
        ]
        numbers = np.zeros((5, 10), np.float32)
        numbers[:, 0] = np.arange(5)
        episodes = np.array([0, 0, 0, 1, 1])[:, None]
        self.columns = {
            "observation.state": numbers,
            "action": numbers.copy(),
            "episode_index": episodes,
        }


def test_a_window_begins_with_its_frame_and_ends_with_its_episodes_last_action():
    windows = read_windows(Reader(), 4)
    assert windows.actions[:, :, 0].tolist() == [
        [0, 1, 2, 2],
        [1, 2, 2, 2],
        [2, 2, 2, 2],
        [3, 4, 4, 4],
        [4, 4, 4, 4],
    ]


def test_tasks_are_numbered_as_they_come():
    windows = read_windows(Reader(("bowl", "cup")), 4)
    assert windows.task_names == ("bowl", "cup")
    assert windows.tasks.tolist() == [0, 0, 0, 1, 1]


def test_an_action_that_is_not_finite_is_refused_with_its_place():
    reader = Reader()
    reader.columns["action"][4, 2] = np.nan
    with pytest.raises(ValueError, match=r"action of frame 4 \(episode 1\)"):
        read_windows(reader, 4)


def test_no_episode_is_both_trained_on_and_held_out():
    windows = read_windows(Reader(), 4)
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
    assert action_errors(moved, true) == pytest.approx(
        {"position_error_m": 0.03, "rotation_error_rad": 0.0, "gripper_error": 0.0}
    )
    assert action_errors(turned, true)["rotation_error_rad"] == pytest.approx(0.1)


def windows_of(episodes: int, rare: bool = False) -> Windows:
    tasks = np.zeros(2 * episodes, np.int64)
    tasks[-2:] = rare
    numbers = np.zeros((2 * episodes, 10), np.float32)
    names = ("cup", "bowl") if rare else ("cup",)
    return Windows(numbers, numbers[:, None], tasks, np.arange(2 * episodes) // 2, names)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_episodes_to_hold_one_out_are_refused(count):
    with pytest.raises(ValueError, match=rf"has {count} episode; expected at least 2, .* more"):
        split_episodes(windows_of(count), 0.02, 0, 0)


def test_what_can_not_be_split_is_refused_with_the_name_of_its_dataset():
    windows = read_windows(Reader(("bowl", "cup")), 4)
    with pytest.raises(ValueError, match=rf"{Reader.root}: of (cup|bowl) there is no episode"):
        split_episodes(windows, 0.02, 0, 0)


def test_a_task_with_no_episode_left_to_train_on_is_refused_by_name():
    windows = windows_of(2, rare=True)
    for seed in range(4):  # of two tasks with an episode each, one is held out
        with pytest.raises(ValueError, match=r"of (cup|bowl) there is no episode left"):
            split_episodes(windows, 0.02, 0, seed)
