from pathlib import Path

import pytest
import yaml

from carp_ros.benchmarks.full_size_rig import full_size_rig
from carp_ros.hardware.ros2_control_link import ARM_LINK
from carp_ros.rig import load_rig
from carp_ros.rig_devices import LONGEST_RECOVERY_S
from carp_ros.share import share_folder
from carp_ros.sim.tasks import TASKS
from carp_ros.system.bringup import (
    READY_WITHIN_S,
    bundle_path,
    describe,
    launch_values,
    rig_path,
    shipped_bundle,
    simulated_rig,
)

from ..tiny_bundle import write_tiny_bundle

SIMULATED = share_folder() / "config" / "ur5e_sim.yaml"


@pytest.fixture
def hardware_rig(tmp_path: Path) -> str:
    """Return a rig's file without a simulated cell."""
    content = yaml.safe_load(SIMULATED.read_text())
    del content["cell"]
    content["teleop"]["device"] = "pointer"
    for camera in content["cameras"].values():
        camera["driver"] = "external"
    path = tmp_path / "hardware.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_simulated_rig_starts_the_cell_first_and_the_supervisor_last():
    names = [node.name for node in describe("ur5e_sim")]
    assert names == ["cell_node", "camera_node", "control_node", "teleop_node", "supervisor_node"]


def test_a_rig_of_hardware_has_no_cell(hardware_rig):
    names = [node.name for node in describe(hardware_rig)]
    assert names == ["control_node", "teleop_node", "supervisor_node"]


@pytest.mark.parametrize("rig", ["ur5e_ros2_control", "fr3_ros2_control"])
def test_an_arm_of_a_vendors_driver_has_a_node_that_ends_after_the_servo(rig):
    nodes = describe(rig, namespace="lab/left")
    names = [node.name for node in nodes]
    assert names == ["arm_bridge_node", "control_node", "teleop_node", "supervisor_node"]
    assert {node.environment[ARM_LINK] for node in nodes} == {"lab.left"}
    assert not nodes[0].essential  # it is started again while the arm holds


def test_a_rig_is_named_or_given_as_a_file():
    assert describe("ur5e_sim") == describe(str(SIMULATED))


def test_every_node_reads_the_rig_from_an_absolute_path(hardware_rig, monkeypatch):
    monkeypatch.chdir(Path(hardware_rig).parent)
    paths = {node.parameters["rig"] for node in describe("hardware.yaml")}
    assert paths == {hardware_rig}


def test_every_node_is_told_which_content_the_rig_has(hardware_rig):
    found = {node.parameters["rig_sha256"] for node in describe(hardware_rig)}
    assert found == {load_rig(Path(hardware_rig)).file.sha256}


def test_the_mode_chooses_who_moves_the_arm():
    devices = {
        mode: node.parameters["device"]
        for mode in ("teleop", "demonstrate")
        for node in describe("ur5e_sim", mode)
        if node.name == "teleop_node"
    }
    assert devices == {"teleop": "pointer", "demonstrate": "demonstrator"}


def test_the_task_reaches_the_cell_and_the_demonstrator():
    tasks = {node.name: node.parameters.get("task") for node in describe("ur5e_sim", task="bowl")}
    assert tasks["cell_node"] == tasks["camera_node"] == tasks["teleop_node"] == "bowl"


def test_recording_adds_a_recorder_that_the_supervisor_manages():
    nodes = {
        node.name: node.parameters for node in describe("ur5e_sim", "demonstrate", record=True)
    }
    assert list(nodes)[-2:] == ["recorder_node", "supervisor_node"]
    assert nodes["recorder_node"]["operator"] == "demonstrator"
    assert Path(nodes["recorder_node"]["folder"]).is_absolute()
    assert nodes["supervisor_node"]["managed"] == "control_node recorder_node"


def test_without_recording_the_supervisor_waits_for_no_recorder():
    nodes = {node.name: node.parameters for node in describe("ur5e_sim")}
    assert nodes["supervisor_node"]["managed"] == "control_node"


def test_a_policy_is_managed_after_control_and_a_person_can_take_over(tiny_bundle):
    nodes = {
        node.name: node.parameters
        for node in describe("ur5e_sim", "policy", bundle=str(tiny_bundle), record=True)
    }
    first = ["cell_node", "camera_node", "control_node", "policy_node", "teleop_node"]
    assert list(nodes)[:5] == first
    assert nodes["supervisor_node"]["managed"] == "control_node policy_node recorder_node"
    assert nodes["policy_node"]["bundle"] == str(tiny_bundle)
    assert nodes["teleop_node"]["device"] == "pointer"


def test_the_only_task_of_a_policy_is_what_lies_on_the_table(tiny_bundle, tmp_path):
    two = write_tiny_bundle(tmp_path / "two", tasks=("cup", "bowl"))
    for bundle, task, laid in ((tiny_bundle, "", "cup"), (two, "bowl", "bowl")):
        nodes = describe("ur5e_sim", "policy", bundle=str(bundle), task=task)
        tasks = {node.name: node.parameters.get("task") for node in nodes}
        assert tasks["cell_node"] == tasks["policy_node"] == laid
    with pytest.raises(ValueError, match="bundle two can do cup, bowl"):
        describe("ur5e_sim", "policy", bundle=str(two))


def test_a_policy_may_know_the_cells_task_by_its_instruction(tmp_path):
    """As one trained on a dataset of another program, whose tasks are named in words."""
    words = TASKS["bowl"].instruction
    bundle = str(write_tiny_bundle(tmp_path / "words", tasks=(words,)))
    for task in ("", "bowl", words):
        nodes = describe("ur5e_sim", "policy", bundle=bundle, task=task)
        tasks = {node.name: node.parameters.get("task") for node in nodes}
        assert tasks["cell_node"] == tasks["camera_node"] == tasks["teleop_node"] == "bowl"
        assert tasks["policy_node"] == words
    with pytest.raises(ValueError, match="'cup'; bundle words was trained for put the bowl"):
        describe("ur5e_sim", "policy", bundle=bundle, task="cup")


@pytest.mark.parametrize(("task", "laid"), [("", "cup"), ("cup", "cup")])
def test_without_a_bundle_the_packages_own_does_the_task(task, laid):
    nodes = {node.name: node.parameters for node in describe("ur5e_sim", "policy", task=task)}
    shipped = shipped_bundle(laid, load_rig(rig_path("ur5e_sim")))
    assert shipped is not None
    assert nodes["policy_node"]["bundle"] == str(shipped.folder)
    assert nodes["cell_node"]["task"] == nodes["policy_node"]["task"] == laid


def test_without_a_bundle_hardware_needs_one(hardware_rig):
    with pytest.raises(ValueError, match=r"bundle is empty; .* where no task is named"):
        describe(hardware_rig, "policy")
    with pytest.raises(
        ValueError, match=r"bundle is empty; .* this version has none for cup on hardware"
    ):
        describe(hardware_rig, "policy", task="cup")


def test_a_policy_of_another_rig_is_refused(tiny_bundle, hardware_rig):
    with pytest.raises(
        ValueError, match="bundle tiny was trained for, ur5e_sim: it is hardware; exp"
    ):
        describe(hardware_rig, "policy", bundle=str(tiny_bundle))


def test_a_bundle_is_a_folder_or_a_name_in_models(tiny_bundle, monkeypatch):
    monkeypatch.chdir(tiny_bundle.parent)
    assert bundle_path("tiny") == bundle_path(str(tiny_bundle)) == tiny_bundle
    assert bundle_path("elsewhere") == tiny_bundle.parent / "elsewhere"


def test_a_task_of_hardware_is_laid_by_hand(hardware_rig):
    assert describe(hardware_rig, task="cup")[0].name == "control_node"


def test_a_task_of_hardware_is_said_in_words_which_the_recorder_alone_is_told(hardware_rig):
    nodes = describe(hardware_rig, task="Open the drawer, slowly!", record=True)
    tasks = {node.name: node.parameters["task"] for node in nodes if "task" in node.parameters}
    assert tasks == {"recorder_node": "open_the_drawer_slowly"}
    (recorder,) = (node for node in nodes if node.name == "recorder_node")
    assert recorder.parameters["instruction"] == "Open the drawer, slowly!"
    assert "instruction" not in describe(hardware_rig, task="mug", record=True)[-2].parameters


def test_the_demonstrator_refuses_hardware(hardware_rig):
    with pytest.raises(ValueError, match=r"mode is demonstrate.*no simulated cell.*use teleop"):
        describe(hardware_rig, "demonstrate")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "fly"}, "mode is 'fly'; expected one of teleop, policy, demonstrate"),
        (
            {"mode": "policy", "task": "juggling"},
            "is empty; .* has none for juggling",
        ),
        ({"mode": "policy", "bundle": "nothing_of_that_name"}, r"no policy\.yaml in .*/nothing_of"),
        ({"bundle": "models/cup"}, "bundle is 'models/cup', but mode is teleop"),
    ],
)
def test_what_can_not_run_is_refused_with_the_reason(options, reason):
    with pytest.raises(ValueError, match=reason):
        describe("ur5e_sim", **options)


def test_an_unknown_rig_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match=r"nowhere\.yaml.*ur5e_sim"):
        describe("nowhere")


def test_only_what_the_arm_needs_ends_the_system(tiny_bundle):
    nodes = describe("ur5e_sim", "policy", bundle=str(tiny_bundle), record=True)
    essential = {node.name for node in nodes if node.essential}
    assert essential == {"cell_node", "control_node"}


def test_a_namespace_is_that_of_every_node():
    for given in ("lab/left", "/lab/left", "/lab/left/"):
        namespaces = {node.namespace for node in describe("ur5e_sim", namespace=given)}
        assert namespaces == {"lab/left"}


@pytest.mark.parametrize("namespace", ["9x", "a b", "a//b", "a__b", "~", "a-b", "é", "{x}"])
def test_what_ros_takes_for_no_namespace_is_refused(namespace):
    with pytest.raises(ValueError, match="namespace is "):
        describe("ur5e_sim", namespace=namespace)


def test_a_system_may_take_as_long_as_its_robot_to_power_up():
    assert READY_WITHIN_S > LONGEST_RECOVERY_S + 30.0


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("1", True), ("False", False)])
def test_a_truth_value_is_read_as_launch_reads_it(text, value):
    assert launch_values({"record": text}, {})["record"] is value


@pytest.mark.parametrize("text", ["yes", "on", "", "2", "true "])
def test_what_is_no_truth_value_is_refused(text):
    with pytest.raises(ValueError, match="expected true or false"):
        launch_values({"record": text}, {})


@pytest.mark.parametrize("path", [rig_path, bundle_path])
def test_a_home_that_there_is_not_is_told_in_words(path):
    with pytest.raises(ValueError, match="begins with ~nobody_of_that_name, and that user has no"):
        path("~nobody_of_that_name/ours.yaml")


def test_no_measurement_moves_a_real_arm_by_itself(tmp_path):
    assert simulated_rig(rig_path("ur5e_sim")).cell
    for measured in (simulated_rig, lambda path: full_size_rig(path, tmp_path)):
        with pytest.raises(ValueError, match="a real arm would move by itself; expected a simul"):
            measured(rig_path("ur5e"))


def test_what_is_measured_on_must_be_a_rig(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.yaml: unknown key 'a'"):
        full_size_rig(tmp_path / "x.yaml", tmp_path)
