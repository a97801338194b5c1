import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.errors import EpisodeError
from carp_ros.recording.frame_grid import FrameGrid

MS = 1_000_000
PERIOD_NS = 100 * MS


class Streams:
    """Knows everything of the captures from one to another, but for some."""

    def __init__(self, captures_ns, start_ns=0, end_ns=10**18, unknown_ns=()) -> None:
        self.captures_ns = sorted(captures_ns)
        self.known_ns = range(start_ns, end_ns)
        self.unknown_ns = unknown_ns

    def frame_at(self, stamp_ns: int) -> int | str:
        known = stamp_ns in self.known_ns and stamp_ns not in self.unknown_ns
        return stamp_ns if known else f"nothing known of {stamp_ns // MS} ms"

    def frames(self) -> list[int]:
        grid = FrameGrid(10, 0.05, self.frame_at)
        frames = []
        for capture_ns in self.captures_ns:
            grid.take(capture_ns)
            frames += grid.frames(capture_ns)
        return [*frames, *grid.last_frames()]


def every_33_ms(seconds: float, jitter=None) -> list[int]:
    captures = np.arange(0, seconds * 1e9, 1e9 / 30)
    return [round(ns) for ns in (captures if jitter is None else captures + jitter(len(captures)))]


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 4.0))
def test_frame_k_is_the_capture_nearest_to_k_periods_after_the_first(seed, seconds):
    rng = np.random.default_rng(seed)
    captures = every_33_ms(seconds, lambda n: rng.uniform(-10 * MS, 10 * MS, n))
    frames = Streams(captures, start_ns=min(captures)).frames()
    due = frames[0] + np.arange(len(frames)) * PERIOD_NS
    distances = np.abs(np.subtract.outer(due, np.sort(captures)))
    assert (np.abs(frames - due) == distances.min(axis=1)).all()
    assert max(captures) - due[-1] < PERIOD_NS  # no frame that was due is missing at the end
    assert (np.diff(frames) > 0).all()


def test_what_is_not_known_at_the_ends_is_left_out():
    frames = Streams(every_33_ms(3.0), start_ns=150 * MS, end_ns=2500 * MS).frames()
    assert frames[0] == 166_666_667
    assert frames[-1] == 2_466_666_667
    assert len(frames) == 24


def test_a_moment_in_between_that_is_not_known_is_an_error():
    captures = every_33_ms(3.0)
    with pytest.raises(EpisodeError, match=r"^1.00 s after the first frame: nothing known of 1000"):
        Streams(captures, unknown_ns=(captures[30],)).frames()


def test_a_hole_in_the_captures_is_an_error():
    captures = [ns for ns in every_33_ms(3.0) if not 1000 * MS < ns < 1180 * MS]
    with pytest.raises(EpisodeError, match=r"1.10 s after .*: 0.20 s without an image of the ref"):
        Streams(captures).frames()


def test_a_camera_slower_than_the_frames_is_an_error():
    with pytest.raises(EpisodeError, match=r"0.15 s without an image"):
        Streams(range(0, 3000 * MS, 150 * MS)).frames()


def test_an_episode_that_loses_its_end_is_an_error():
    with pytest.raises(EpisodeError, match=r"^1.50 s after the first frame: nothing known of 1500"):
        Streams(every_33_ms(3.0), end_ns=1450 * MS).frames()


def test_captures_that_end_long_before_the_rest_are_an_error():
    grid = FrameGrid(10, 0.05, Streams([]).frame_at)
    for capture_ns in every_33_ms(1.0):
        grid.take(capture_ns)
    frames = list(grid.frames(3000 * MS))
    assert len(frames) == 10
    with pytest.raises(EpisodeError, match=r"1.00 s after .*: the reference camera's images end"):
        list(grid.last_frames())


def test_nothing_known_at_all_gives_no_frame_and_the_reason():
    grid = FrameGrid(10, 0.05, Streams([], end_ns=0).frame_at)
    grid.take(0)
    assert [*grid.frames(900 * MS), *grid.last_frames()] == []
    assert grid.problem == "nothing known of 0 ms"


@given(
    st.integers(0, 2**32 - 1), st.sampled_from((10, 30)), st.floats(0.985, 1.05), st.floats(5, 60)
)
def test_at_the_cameras_own_rate_its_true_rate_and_a_late_image_cost_nothing(
    seed, rate_hz, share, seconds
):
    rng = np.random.default_rng(seed)
    period_ns = 1e9 / (rate_hz * share)
    captures = np.arange(0, seconds * 1e9, period_ns)
    captures += rng.uniform(-1, 1, len(captures)) * MS
    captures[len(captures) // 2] += 23 * MS
    grid = FrameGrid(rate_hz, 0.05 if rate_hz == 30 else 0.08, lambda stamp_ns: stamp_ns)
    for capture_ns in captures.astype(int):
        grid.take(int(capture_ns))
    frames = list(grid.last_frames())
    due = frames[0] + np.arange(len(frames)) * 1e9 / rate_hz
    distances = np.abs(np.subtract.outer(due, captures.astype(int))).min(axis=1)
    np.testing.assert_allclose(np.abs(frames - due), distances, atol=2)
    assert due[-1] > captures[-1] - 1e9 / rate_hz
    assert (np.diff(frames) >= 0).all()


def test_a_camera_that_would_be_shown_twice_again_and_again_is_an_error_with_its_rate():
    grid = FrameGrid(30, 0.05, lambda stamp_ns: stamp_ns)
    for number in range(60):
        grid.take(round(number * 1e9 / 20))
    with pytest.raises(EpisodeError, match=r"sends 20.0 images a second: .* with --rate-hz 20"):
        list(grid.last_frames())


def test_a_stamp_that_lies_years_ahead_is_an_error_at_once():
    grid = FrameGrid(10, 0.05, lambda stamp_ns: stamp_ns)
    for capture_ns in every_33_ms(3.0):
        grid.take(capture_ns)
    assert len(list(grid.frames(10**18))) == 30
    with pytest.raises(EpisodeError, match="the reference camera's images end"):
        list(grid.last_frames())
