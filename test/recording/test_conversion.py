import shutil
import threading

import numpy as np
import pytest

from carp_ros.inference.layout import TOOL_AND_WRENCH, vector_from_tcp_pose
from carp_ros.recording import messages
from carp_ros.recording.bag import mcap_file
from carp_ros.recording.bag_frames import FrameSettings, episode_frames
from carp_ros.recording.conversion import EpisodeFilter, convert, find_episodes
from carp_ros.recording.dataset import Dataset
from carp_ros.recording.dataset_files import data_path, read_episodes, video_path
from carp_ros.recording.open_dataset import open_demonstrations
from carp_ros.recording.recorded_episode import open_episode
from carp_ros.recording.tables import read_columns
from carp_ros.recording.video import read_video
from carp_ros.types import Pose

CAMERAS = ("wrist_cam", "third_cam")


def run(folders, root, settings=FrameSettings(), episode_filter=EpisodeFilter()):  # noqa: B008 frozen
    return list(convert(folders, root, settings, episode_filter))


@pytest.fixture(scope="module")
def bags(tmp_path_factory, make_recording):
    """Three good episodes of different lengths, the last of another task."""
    folder = tmp_path_factory.mktemp("bags")
    for seed, seconds in enumerate((1.5, 2.0, 1.2)):
        words = "Put the bowl into the pot." if seed == 2 else "Put the cup on the right."
        recording = make_recording(seed=seed, seconds=seconds, instruction=words)
        recording.write(folder / f"episode_{seed}")
    return folder


def test_the_dataset_holds_what_the_episodes_showed(bags, tmp_path):
    folders = find_episodes([bags])
    outcomes = run(folders, tmp_path / "set")
    assert [outcome.status for outcome in outcomes] == ["added"] * 3
    columns = read_columns(tmp_path / "set" / data_path(0))
    videos = {name: list(read_video(tmp_path / "set" / video_path(name, 0))) for name in CAMERAS}
    index = 0
    for folder in folders:
        _, frames = episode_frames(open_episode(folder), FrameSettings())
        start_ns = 0
        for number, frame in enumerate(frames):
            seen = frame.observation
            start_ns = start_ns or seen.stamp_ns
            state = vector_from_tcp_pose(seen.tcp_pose, seen.gripper).astype(np.float32)
            assert columns["observation.state"][index].tolist() == state.tolist()
            assert columns["action"][index].tolist() == frame.action.astype(np.float32).tolist()
            joints = seen.joints.astype(np.float32)
            assert columns["observation.joints"][index].tolist() == joints.tolist()
            assert columns["stamp_ns"][index, 0] == seen.stamp_ns - start_ns
            assert columns["timestamp"][index, 0] == np.float32(number / 10)
            for name in CAMERAS:
                stamp_ns = seen.image_stamps_ns[name] - start_ns
                assert columns[f"stamp_ns.{name}"][index, 0] == stamp_ns
                difference = videos[name][index].astype(int) - seen.images[name]
                assert np.abs(difference).mean() < 3.0  # levels of 255, from the video's encoding
            index += 1
    assert index == len(columns["index"]) == len(videos["wrist_cam"])
    assert columns["index"][:, 0].tolist() == list(range(index))


def test_episodes_know_their_frames_their_task_and_their_source(bags, tmp_path):
    run(find_episodes([bags]), tmp_path / "set")
    rows = read_episodes(tmp_path / "set")
    columns = read_columns(tmp_path / "set" / data_path(0))
    for number, row in enumerate(rows):
        mine = columns["episode_index"][:, 0] == number
        assert mine.sum() == row["length"] == row["dataset_to_index"] - row["dataset_from_index"]
        assert columns["index"][mine][0, 0] == row["dataset_from_index"]
        start_s = row["videos/observation.images.wrist_cam/from_timestamp"]
        assert round(start_s * 10) == row["dataset_from_index"]
        assert set(columns["task_index"][mine][:, 0]) == {number // 2}
        assert (row["source"], row["seed"], row["success"]) == (f"episode_{number}", number, True)
    words = ["Put the cup on the right."] * 2 + ["Put the bowl into the pot."]
    assert [row["tasks"] for row in rows] == [[text] for text in words]


def test_images_are_resized_when_asked(bags, tmp_path):
    run(find_episodes([bags])[:1], tmp_path / "set", FrameSettings(image_size_px=(32, 32)))
    image = next(read_video(tmp_path / "set" / video_path("wrist_cam", 0)))
    assert image.shape == (32, 32, 3)


def test_bad_episodes_are_refused_with_the_reason_and_the_rest_is_converted(
    bags, tmp_path, make_recording
):
    spoilt = tmp_path / "bags"
    good = make_recording(seed=7)
    bad_pose = messages.encode_pose(
        Pose(np.full(3, np.nan), np.array([1.0, 0.0, 0.0, 0.0])), 0, "base_link"
    )
    make_recording(seed=7).write(spoilt / "a_good")
    good.without("/target_pose").write(spoilt / "b_no_target")
    good.with_message(1.2, "/target_pose", bad_pose).write(spoilt / "c_nan")
    good.write_unfinished(spoilt / "d_unfinished")
    cut = mcap_file(good.write(spoilt / "e_cut"))
    with cut.open("r+b") as file:
        file.truncate(cut.stat().st_size * 2 // 3)
    make_recording(seed=8, rig="other_rig").write(spoilt / "f_other_rig")
    make_recording(seed=9, size_px=(80, 48)).write(spoilt / "g_other_size")
    good.without(*(m[1] for m in good.messages)).write(spoilt / "h_empty")
    make_recording(seed=10).write(spoilt / "i_good")

    outcomes = run(find_episodes([spoilt]), tmp_path / "set")

    reasons = {o.folder.name: o.reason for o in outcomes if o.status == "refused"}
    assert reasons["b_no_target"] == "no message on /target_pose"
    assert reasons["c_nan"].startswith("/target_pose at 1.20 s: pose is [nan, nan, nan")
    assert reasons["d_unfinished"].startswith("was not finished; `carp recover ")
    assert "is cut off after" in reasons["e_cut"]
    assert reasons["f_other_rig"] == "its rig is 'other_rig'; the dataset's is 'ur5e_test'"
    assert "its cameras is" in reasons["g_other_size"]
    assert "(80, 48)" in reasons["g_other_size"]
    assert reasons["h_empty"].startswith("no message on /gripper_command, /gripper_state, /joint")
    added = [o.folder.name for o in outcomes if o.status == "added"]
    assert added == ["a_good", "i_good"]
    assert [row["source"] for row in read_episodes(tmp_path / "set")] == added


def test_a_run_without_one_good_episode_leaves_no_dataset(tmp_path, make_recording):
    make_recording().without("/tool_pose").write(tmp_path / "bags" / "bad")
    assert run([tmp_path / "bags" / "bad"], tmp_path / "set")[0].status == "refused"
    assert [path for path in (tmp_path / "set").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("info", "episode_filter", "reason"),
    [
        ({"success": False}, EpisodeFilter(success_only=True), "no success"),
        ({"success": None}, EpisodeFilter(success_only=True), "success not known"),
        ({"verdict": "red"}, EpisodeFilter(), "quality red"),
        ({"verdict": "amber"}, EpisodeFilter(verdicts=("green",)), "quality amber"),
        ({"task": "cup"}, EpisodeFilter(task="bowl"), "task cup"),
    ],
)
def test_an_episode_that_is_not_wanted_is_left_out(
    tmp_path, make_recording, info, episode_filter, reason
):
    folder = make_recording(**info).write(tmp_path / "episode")
    (outcome,) = run([folder], tmp_path / "set", episode_filter=episode_filter)
    assert (outcome.status, outcome.reason) == ("unwanted", reason)


def test_many_processes_make_the_same_bytes_as_one(bags, tmp_path):
    for root, workers in ((tmp_path / "one", 1), (tmp_path / "two", 2)):
        for outcome in convert(
            find_episodes([bags]), root, FrameSettings(), EpisodeFilter(), workers
        ):
            assert outcome.status == "added"
    one, two = (
        {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.*") if p.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_converting_again_adds_only_what_is_new(bags, tmp_path):
    folders = find_episodes([bags])
    run(folders[:2], tmp_path / "set")
    outcomes = run(folders, tmp_path / "set")
    assert [outcome.status for outcome in outcomes] == ["present", "present", "added"]
    rows = read_episodes(tmp_path / "set")
    assert [row["episode_index"] for row in rows] == [0, 1, 2]
    assert [row["data/file_index"] for row in rows] == [0, 0, 1]
    assert len(list(read_video(tmp_path / "set" / video_path("third_cam", 1)))) == rows[2]["length"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.*")}
    assert {outcome.status for outcome in run(folders, tmp_path / "set")} == {"present"}
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.*")} == before


def test_a_copy_of_an_episode_counts_once(bags, tmp_path):
    copy = shutil.copytree(bags / "episode_0", tmp_path / "episode_0")
    outcomes = run([bags / "episode_0", copy], tmp_path / "set")
    assert [outcome.status for outcome in outcomes] == ["added", "present"]


def test_another_rate_does_not_fit_a_dataset_that_has_one(bags, tmp_path):
    folders = find_episodes([bags])
    run(folders[:1], tmp_path / "set")
    (outcome,) = run(folders[1:2], tmp_path / "set", FrameSettings(rate_hz=15))
    assert outcome.reason == "its rate_hz is 15; the dataset's is 10"


def test_a_folder_that_holds_something_else_is_left_alone(bags, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="holds something that carp did not convert"):
        run([bags / "episode_0"], tmp_path)


def test_two_processes_do_not_write_one_dataset(bags, tmp_path):
    first = convert(find_episodes([bags]), tmp_path / "set", FrameSettings(), EpisodeFilter())
    next(first)
    with pytest.raises(ValueError, match="another process converts into"):
        run([bags / "episode_0"], tmp_path / "set")
    assert len(list(first)) == 2


def test_a_lock_that_is_left_for_a_moment_is_waited_for(bags, tmp_path):
    other = Dataset(tmp_path / "set", str(FrameSettings()))
    threading.Timer(0.2, other.close).start()
    assert [o.status for o in run([bags / "episode_0"], tmp_path / "set")] == ["added"]


def test_a_folder_without_episodes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no episode and holds none"):
        find_episodes([tmp_path])


def test_the_state_ends_with_the_wrench_if_that_is_asked_for(bags, tmp_path):
    settings = FrameSettings(wrench=True)
    outcomes = run(find_episodes([bags]), tmp_path / "set", settings)
    assert [outcome.status for outcome in outcomes] == ["added"] * 3
    spec, frames = episode_frames(open_episode(find_episodes([bags])[0]), settings)
    assert spec.state == TOOL_AND_WRENCH
    states = read_columns(tmp_path / "set" / data_path(0))["observation.state"]
    for frame, state in zip(frames, states, strict=False):
        felt = frame.observation.wrench
        assert felt is not None
        np.testing.assert_array_equal(state[10:], felt.astype(np.float32))
        # the recording's wrench grows with time, at 1 to 5 a second
        assert felt[1] == pytest.approx(felt[5] / 5.0)
    assert open_demonstrations(tmp_path / "set").state == TOOL_AND_WRENCH


def test_an_episode_without_a_wrench_is_refused_only_where_one_is_asked_for(
    make_recording, tmp_path
):
    recording = make_recording()
    recording.messages = [each for each in recording.messages if each[1] != "/wrench"]
    folder = recording.write(tmp_path / "episode")
    (outcome,) = run([folder], tmp_path / "felt", FrameSettings(wrench=True))
    assert (outcome.status, outcome.reason) == ("refused", "no message on /wrench")
    (outcome,) = run([folder], tmp_path / "set")
    assert outcome.status == "added"


def test_a_dataset_does_not_mix_states_with_and_without_a_wrench(bags, tmp_path):
    first, second, _ = find_episodes([bags])
    run([first], tmp_path / "set")
    (outcome,) = run([second], tmp_path / "set", FrameSettings(wrench=True))
    assert outcome.status == "refused"
    assert "its state is" in outcome.reason
