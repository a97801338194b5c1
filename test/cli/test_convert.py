import pytest

from carp_ros.cli.convert import ConvertCommand, main, summary
from carp_ros.recording.conversion import Outcome


def test_the_summary_names_what_was_not_taken_and_why(tmp_path):
    outcomes = [
        Outcome(tmp_path / "a", "added", frames=98),
        Outcome(tmp_path / "b", "refused", reason="no message on /target_pose"),
        Outcome(tmp_path / "c", "unwanted", reason="no success"),
    ]
    text = summary(outcomes, rate_hz=10, wall_s=6.0)
    assert "added         1   98 frames, 10 s" in text
    assert f"{tmp_path / 'b'}: no message on /target_pose" in text
    assert f"{tmp_path / 'c'}: no success" in text
    assert "6.0 s, 2.00 s an episode" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rate_hz": 0}, "--rate-hz is 0"), ({"bags": ()}, "no episodes; name their folders")],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        main(ConvertCommand(**{"bags": (tmp_path,), "out": tmp_path / "set", **options}))
