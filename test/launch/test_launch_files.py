"""The launch files, run with stand-ins for ROS's `launch`, which PyPI does not have.

The real `ros2 launch` differs from these in much; that the files use it rightly was checked with it
(`--show-args` and a start) and is checked again wherever it is installed.
"""

import importlib.util
import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent.parent / "launch"


class Recorded:
    """Any class of `launch`: keeps what it was made with."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.arguments = arguments
        self.options = options


@dataclass
class Context:
    """The values of launch arguments."""

    values: dict[str, str] = field(default_factory=dict)


class LaunchConfiguration(Recorded):
    """The value of one launch argument."""

    def perform(self, context: Context) -> str:
        return context.values[self.arguments[0]]


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(contents)
    return made


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins where the launch files import from."""
    if importlib.util.find_spec("launch_ros") is not None:
        pytest.skip("the real launch_ros is installed: `ros2 launch` itself is the better test")
    actions = ("DeclareLaunchArgument", "IncludeLaunchDescription", "OpaqueFunction", "Shutdown")
    for stand_in in (
        module("launch", LaunchDescription=Recorded),
        module("launch.actions", **dict.fromkeys(actions, Recorded)),
        module("launch.substitutions", LaunchConfiguration=LaunchConfiguration),
        module("launch.launch_description_sources", PythonLaunchDescriptionSource=Recorded),
        module("launch_ros"),
        module("launch_ros.actions", Node=Recorded),
    ):
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)


def nodes_of_system(**given: str) -> list[dict[str, Any]]:
    """Return the options of every Node that system.launch.py starts."""
    file = runpy.run_path(str(FOLDER / "system.launch.py"))
    defaults = {name: default for name, default, _ in file["ARGUMENTS"]}
    return [node.options for node in file["start_nodes"](Context(defaults | given))]


@pytest.mark.usefixtures("launch")
def test_the_system_starts_every_node_of_the_description():
    nodes = nodes_of_system(mode="demonstrate", task="bowl")
    names = [node["name"] for node in nodes]
    assert names == ["cell_node", "control_node", "teleop_node", "supervisor_node"]
    assert nodes[0]["parameters"][0]["task"] == "bowl"
    assert nodes[2]["parameters"][0]["device"] == "demonstrator"


@pytest.mark.usefixtures("launch")
def test_a_policy_is_launched_with_its_bundle(tiny_bundle):
    nodes = nodes_of_system(mode="policy", bundle=str(tiny_bundle))
    parameters = {node["name"]: node["parameters"][0] for node in nodes}
    assert parameters["policy_node"]["bundle"] == str(tiny_bundle)


@pytest.mark.usefixtures("launch")
def test_the_end_of_any_node_ends_the_system():
    assert all("on_exit" in node for node in nodes_of_system())


@pytest.mark.usefixtures("launch")
@pytest.mark.parametrize(("value", "recorded"), [("true", True), ("True", True), ("false", False)])
def test_record_is_read_as_a_truth_value(value, recorded):
    names = [node["name"] for node in nodes_of_system(record=value)]
    assert ("recorder_node" in names) == recorded


@pytest.mark.usefixtures("launch")
@pytest.mark.parametrize(
    ("file", "preset"),
    [
        ("cup_task", {"task": "cup"}),
        ("bowl_task", {"task": "bowl"}),
        ("teleop", {"mode": "teleop"}),
        ("record", {"mode": "teleop", "record": "true"}),
    ],
)
def test_a_task_is_the_system_with_one_argument_preset(file, preset):
    made = runpy.run_path(str(FOLDER / f"{file}.launch.py"))["generate_launch_description"]()
    *declared, included = made.arguments[0]
    assert dict(included.options["launch_arguments"]) == preset
    assert Path(included.arguments[0].arguments[0]).name == "system.launch.py"
    # a default, not a preset: `mode:=teleop` on the command line counts
    defaults = {argument.arguments[0]: argument.options["default_value"] for argument in declared}
    assert defaults == ({"mode": "policy"} if "task" in preset else {})
