import pytest
import yaml

from carp_ros.cli.convert import ConvertCommand, main, summary
from carp_ros.recording import messages
from carp_ros.recording.conversion import ConvertedEpisode
from carp_ros.recording.topic_map import read_topic_map

from ..recording.foreign_bags import MAP, write_bag

NUMBERS = [(10**18, "/grip", messages.NUMBER, messages.encode_number(0.5))]


def test_the_summary_names_what_was_not_taken_and_why(tmp_path):
    outcomes = [
        ConvertedEpisode(tmp_path / "a", "added", frames=98),
        ConvertedEpisode(tmp_path / "b", "refused", reason="no message on /target_pose"),
        ConvertedEpisode(tmp_path / "c", "unwanted", reason="no success"),
    ]
    text = summary(outcomes, rate_hz=10, wall_s=6.0)
    assert "added         1   98 frames, 10 s" in text
    assert f"{tmp_path / 'b'}: no message on /target_pose" in text
    assert f"{tmp_path / 'c'}: no success" in text
    assert "6.0 s, 2.00 s an episode" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_hz": 0}, "--rate-hz is 0"),
        ({"bags": ()}, "no episodes; name their folders"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        main(ConvertCommand(**{"bags": (tmp_path,), "out": tmp_path / "set", **options}))


def test_a_bag_of_another_program_is_told_with_its_topics_and_a_map_to_begin_with(tmp_path, capsys):
    write_bag(tmp_path / "bag", NUMBERS)
    assert main(ConvertCommand((tmp_path / "bag",), tmp_path / "set", workers=1)) == 1
    said = capsys.readouterr().out
    assert f"{tmp_path / 'bag'}: lacks an episode's metadata, like other" in said
    assert "#   /grip  std_msgs/msg/Float64\n" in said
    assert "gripper_state:\n  source: number\n  topic: /grip\n" in said


def test_the_map_alone_can_be_printed_and_read_back(tmp_path, capsys):
    write_bag(tmp_path / "bag", NUMBERS)
    assert main(ConvertCommand((tmp_path / "bag",), suggest_topics=True)) == 0
    (tmp_path / "topics.yaml").write_text(capsys.readouterr().out)
    assert read_topic_map(tmp_path / "topics.yaml").gripper_state.topic == "/grip"
    assert not (tmp_path / "set").exists()


def test_a_dataset_without_a_name_is_refused(tmp_path):
    write_bag(tmp_path / "bag", NUMBERS)
    with pytest.raises(ValueError, match="--out is missing; name the dataset's folder"):
        main(ConvertCommand((tmp_path / "bag",)))


def test_a_map_that_is_wrong_ends_the_command_before_anything_is_written(tmp_path):
    write_bag(tmp_path / "bag", NUMBERS)
    path = tmp_path / "topics.yaml"
    path.write_text(yaml.safe_dump({**MAP, "robot": "ur6"}))
    with pytest.raises(ValueError, match=r"topics\.yaml: robot is 'ur6'; expected one of ur5e"):
        main(ConvertCommand((tmp_path / "bag",), tmp_path / "set", path))
    assert not (tmp_path / "set").exists()
