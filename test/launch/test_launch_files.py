"""The launch files, run with stand-ins for ROS's `launch`, which PyPI does not have.

The real `ros2 launch` differs from these in much; that the files use it rightly was checked with it
(`--show-args` and a start) and is checked again wherever it is installed.
"""

import importlib.util
import itertools
import os
import runpy
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from carp_ros.errors import DeviceError
from carp_ros.processes.parent import HOLD
from carp_ros.processes.restarts import EXIT_REFUSED, PAUSES_S

FOLDER = Path(__file__).parent.parent.parent / "launch"

_numbers = itertools.count()


class Recorded:
    """Any class of `launch`: keeps what it was made with."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.arguments = arguments
        self.options = options


@dataclass
class Context:
    """The values of launch arguments, and whether the launch is ending."""

    launch_configurations: dict[str, str] = field(default_factory=dict)
    is_shutdown: bool = False


@dataclass
class Exited:
    """The end of a process."""

    returncode: int


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(contents)
    return made


@pytest.fixture(autouse=True)
def launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins where the launch files import from."""
    if importlib.util.find_spec("launch_ros") is not None:
        pytest.skip("the real launch_ros is installed: `ros2 launch` itself is the better test")
    actions = ("DeclareLaunchArgument", "LogInfo", "OpaqueFunction")
    for stand_in in (
        module("launch", LaunchDescription=Recorded),
        module("launch.actions", **dict.fromkeys((*actions, "TimerAction"), Recorded)),
        module("launch_ros"),
        module("launch_ros.actions", Node=Recorded),
    ):
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "carp_ros", "system.launch.py"])
    # what one launch has, it has to this process's end
    monkeypatch.setenv("ROS_DOMAIN_ID", f"{os.getpid()}{next(_numbers):03d}")


class Launched:
    """One launch file, and what starting it returned."""

    def __init__(self, file: str = "system", **given: str) -> None:
        made = runpy.run_path(str(FOLDER / f"{file}.launch.py"))["generate_launch_description"]()
        *declared, start = made.arguments[0]
        self.defaults = {
            argument.arguments[0]: argument.options["default_value"] for argument in declared
        }
        self.context = Context(self.defaults | given)
        self.actions = start.options["function"](self.context)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """The options of every Node."""
        return [action.options for action in self.actions if "executable" in action.options]

    def parameters(self, name: str) -> dict[str, Any]:
        return self.node(name)["parameters"][0]

    def node(self, name: str) -> dict[str, Any]:
        return next(node for node in self.nodes if node["name"] == name)

    def action(self, name: str) -> Recorded:
        return next(action for action in self.actions if action.options.get("name") == name)

    def end(self, name: str, returncode: int) -> list[Recorded]:
        """Return what is done when a node ends."""
        return self.node(name)["on_exit"](Exited(returncode), self.context)


def test_the_system_starts_every_node_of_the_description():
    launched = Launched(mode="demonstrate", task="bowl")
    names = [node["name"] for node in launched.nodes]
    assert names == ["cell_node", "camera_node", "control_node", "teleop_node", "supervisor_node"]
    assert launched.parameters("cell_node")["task"] == "bowl"
    assert launched.parameters("teleop_node")["device"] == "demonstrator"


def test_a_policy_is_launched_with_its_bundle(tiny_bundle):
    launched = Launched(mode="policy", bundle=str(tiny_bundle))
    assert launched.parameters("policy_node")["bundle"] == str(tiny_bundle)


def test_a_namespace_and_the_starter_reach_every_node():
    for node in Launched(namespace="/left").nodes:
        assert node["namespace"] == "left"
        assert node["additional_env"]["CARP_STARTED_BY"] == str(os.getpid())
        assert node["additional_env"]["CARP_CELL_ADDRESS"].startswith("127.")


def test_a_second_system_is_refused_and_one_in_another_namespace_is_not():
    first = Launched()
    with pytest.raises(
        DeviceError, match="a system is already running in namespace / of ROS domain"
    ):
        Launched()
    second = Launched(namespace="left")
    addresses = {
        launched.node("cell_node")["additional_env"]["CARP_CELL_ADDRESS"]
        for launched in (first, second)
    }
    assert len(addresses) == 2


@pytest.mark.parametrize("name", ["cell_node", "control_node"])
def test_the_end_of_a_node_that_the_arm_needs_ends_the_launch_with_an_error(name):
    launched = Launched()
    with pytest.raises(RuntimeError, match=f"{name} was ended by SIGKILL"):
        launched.end(name, -9)


def test_another_node_is_started_again_and_the_arm_holds_meanwhile(monkeypatch):
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    launched = Launched()
    vars(launched.action("control_node"))["process_details"] = {"pid": 4711}
    for pause_s in PAUSES_S:
        said, later = launched.end("teleop_node", -9)
        assert "is restarted in" in said.options["msg"]
        assert later.options["period"] == pause_s
        (again,) = later.options["actions"]
        (node,) = again.options["function"](launched.context)
        assert node.options["name"] == "teleop_node"
    (said,) = launched.end("teleop_node", -9)
    assert "stays down" in said.options["msg"]
    assert sent == [(4711, HOLD)] * (len(PAUSES_S) + 1)


def test_what_is_refused_at_the_start_ends_the_launch():
    with pytest.raises(RuntimeError, match="teleop_node ended with exit code 1"):
        Launched().end("teleop_node", EXIT_REFUSED)


def test_nothing_is_started_again_while_the_launch_ends():
    launched = Launched()
    launched.context.is_shutdown = True
    assert launched.end("teleop_node", -signal.SIGINT) == []


@pytest.mark.parametrize(("value", "recorded"), [("true", True), ("True", True), ("false", False)])
def test_record_is_read_as_a_truth_value(value, recorded):
    names = [node["name"] for node in Launched(record=value).nodes]
    assert ("recorder_node" in names) == recorded


@pytest.mark.parametrize(
    ("file", "given", "reason"),
    [
        ("system", {"record": "yes"}, "record:=yes was given; expected true or false"),
        ("system", {"recrod": "true"}, "recrod:=true is no launch argument.*was record:= meant"),
        ("system", {"mode": "fly"}, "mode is 'fly'; expected one of teleop"),
        ("system", {"task": "juggling"}, "task is 'juggling'; expected one of cup, bowl"),
        ("system", {"namespace": "a b"}, "namespace is 'a b'; expected letters"),
        ("cup_task", {"task": "bowl"}, "task:=bowl was given, but this launch file is for task:="),
        ("teleop", {"mode": "policy"}, "mode:=policy was given, but .* mode:=teleop"),
        ("record", {"record": "false"}, "record:=false was given, but .* record:=true"),
    ],
)
def test_an_argument_that_would_not_count_is_refused(file, given, reason):
    with pytest.raises(ValueError, match=reason):
        Launched(file, **given)


def test_arguments_of_an_including_file_are_its_own(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "lab", "table.launch.py"])
    assert Launched(table="left").nodes


@pytest.mark.parametrize(
    ("file", "fixed"),
    [
        ("cup_task", {"task": "cup"}),
        ("bowl_task", {"task": "bowl"}),
        ("teleop", {"mode": "teleop"}),
        ("record", {"mode": "teleop", "record": "true"}),
    ],
)
def test_a_task_is_the_system_with_arguments_fixed_and_those_are_not_offered(file, fixed):
    launched = Launched(file, **({"mode": "demonstrate"} if "mode" not in fixed else {}))
    assert launched.defaults.keys() & fixed.keys() == set()
    if "task" in fixed:
        assert launched.parameters("cell_node")["task"] == fixed["task"]
        assert launched.defaults["mode"] == "policy"
    assert any(node["name"] == "recorder_node" for node in launched.nodes) == ("record" in fixed)


def test_a_viewer_is_started_with_the_description_of_the_rig():
    launched = Launched("view", rig="fr3_sim")
    publisher, rviz = launched.nodes
    (parameters,) = publisher["parameters"]
    assert '<robot name="fr3">' in parameters["robot_description"]
    option, config = rviz["arguments"]
    assert option == "-d"
    assert Path(config).is_file()


def test_a_viewer_of_a_rig_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no rig file"):
        Launched("view", rig="ur6e")
