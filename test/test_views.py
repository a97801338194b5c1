"""The shipped RViz configuration and Foxglove layout name only what a running rig has."""

import ast
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from carp_ros.rig import load_rig
from carp_ros.share import share_folder
from carp_ros.system.view import description_of

CONFIG = share_folder() / "config"
RIGS = ("ur5e", "ur5e_sim", "fr3", "fr3_sim")
CAMERAS = ("wrist_cam", "third_cam")
NODES = share_folder() / "carp_ros"
RVIZ = yaml.safe_load((CONFIG / "carp.rviz").read_text(encoding="utf-8"))
FOXGLOVE = json.loads((CONFIG / "foxglove_layout.json").read_text(encoding="utf-8"))
LATCHED = ("/robot_description", "/markers")


def published() -> dict[str, str]:
    """Return the QoS profile of each topic that a node publishes, by its name."""
    topics = {}
    for source in [*NODES.glob("nodes/*.py"), NODES / "ros" / "diagnostics.py"]:
        for call in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            if call.func.attr != "create_publisher":
                continue
            _, name, qos = call.args
            text = ast.unparse(name).strip("f'\"")
            for camera in CAMERAS:
                topics["/" + text.replace("{name}", camera)] = ast.unparse(qos)
    return topics


PUBLISHED = published()


def strings(value) -> list[str]:
    """Return every text in plain data, keys of mappings included."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


def topics_of_rviz() -> dict[str, dict]:
    displays = RVIZ["Visualization Manager"]["Displays"]
    topics = [d.get(key) for d in displays for key in ("Topic", "Description Topic")]
    return {topic["Value"]: topic for topic in topics if topic}


def topics_of_foxglove() -> set[str]:
    texts = [text for text in strings(FOXGLOVE["configById"]) if text.startswith("/")]
    return {re.sub(r"\.\w+$", "", text) for text in texts}


def frames(rig: str) -> set[str]:
    root = ElementTree.fromstring(description_of(rig))
    return {link.attrib["name"] for link in root.findall("link")}


def test_the_nodes_topics_are_found():
    assert {"/joint_states", "/robot_description", "/markers"} <= PUBLISHED.keys()
    assert PUBLISHED["/wrist_cam/image_raw"] == "SENSOR"


@pytest.mark.parametrize("topic", sorted(topics_of_rviz()))
def test_every_topic_of_rviz_is_published_with_a_quality_that_it_receives(topic):
    assert topic in PUBLISHED
    qos = topics_of_rviz()[topic]
    if PUBLISHED[topic] == "SENSOR":  # a reliable subscriber would silently receive nothing
        assert qos["Reliability Policy"] == "Best Effort"
    latched = PUBLISHED[topic] == "LATCHED"
    assert qos["Durability Policy"] == ("Transient Local" if latched else "Volatile")


@pytest.mark.parametrize("topic", sorted(topics_of_foxglove()))
def test_every_topic_of_the_foxglove_layout_is_published(topic):
    assert topic in PUBLISHED


def test_every_panel_of_the_foxglove_layout_is_configured_and_shown_once():
    shown = [text for text in strings(FOXGLOVE["layout"]) if "!" in text]
    assert sorted(shown) == sorted(FOXGLOVE["configById"])


@pytest.mark.parametrize("rig", RIGS)
def test_every_frame_of_the_views_is_in_the_robot_description(rig):
    panel = FOXGLOVE["configById"]["3D!robot"]
    named = {panel["followTf"], panel["layers"]["grid"]["frameId"]}
    named.add(RVIZ["Visualization Manager"]["Global Options"]["Fixed Frame"])
    assert named <= frames(rig)
    # the frames of what is drawn: poses and markers are in the base frame
    assert load_rig(CONFIG / f"{rig}.yaml").robot.base_frame in frames(rig)


@pytest.mark.parametrize("rig", RIGS)
def test_every_movable_joint_but_a_mirrored_one_is_among_the_joint_states(rig):
    from carp_ros.description.gripper_joint import GRIPPER_JOINT

    root = ElementTree.fromstring(description_of(rig))
    movable = {
        joint.attrib["name"]
        for joint in root.findall("joint")
        if joint.attrib["type"] != "fixed" and joint.find("mimic") is None
    }
    assert movable == {*load_rig(CONFIG / f"{rig}.yaml").robot.joint_names, GRIPPER_JOINT}


def test_the_views_are_installed():
    setup = (Path(__file__).parent.parent / "setup.py").read_text(encoding="utf-8")
    assert 'shared("config", "*.*")' in setup
    assert 'shared("launch", "*.launch.py")' in setup
