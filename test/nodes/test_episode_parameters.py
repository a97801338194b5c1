"""Tests for nodes/episode_parameters.py: what the recorder says of an episode that begins."""

from types import SimpleNamespace

from carp_ros.nodes.episode_parameters import EpisodeParameters
from carp_ros.rig import load_rig
from carp_ros.share import share_folder


class Node:
    """Holds parameters as a node does."""

    def __init__(self):
        self._values = {}
        self.rules = self

    def declare(self, name, default, meaning, rule):
        kind = "integer_value" if isinstance(default, int) else "string_value"
        self._values[name] = SimpleNamespace(**{kind: default})

    def get_parameter(self, name):
        return SimpleNamespace(get_parameter_value=lambda: self._values[name])


def test_an_episode_has_the_rig_that_the_system_runs_on_not_what_the_file_says_by_then(tmp_path):
    path = tmp_path / "cell.yaml"
    text = (share_folder() / "config" / "ur5e_sim.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    parameters = EpisodeParameters(Node(), load_rig(path))
    before = parameters.info(10**18).rig_file
    path.write_text(text.replace("wrist_cam", "other_cam"), encoding="utf-8")
    assert "wrist_cam" in before["cameras"]
    assert parameters.info(10**18).rig_file == before
