import ipaddress
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from carp_ros.processes.ros_environment import log_folder, ros_environment
from carp_ros.share import share_folder

from ..sockets import sockets_of

PREFIX = Path("/venv")
LIBRARIES = [PREFIX / "lib", PREFIX / "ros_rcl.libs"]
PROFILE = Path("/share/config/fastdds.xml")

ENTER_AND_REPORT = """
import json, os, sys
starts = int(os.environ.get("STARTS", "0")) + 1
os.environ["STARTS"] = str(starts)
from carp_ros.processes.ros_environment import enter
enter()
import rclpy
rclpy.init()
print(json.dumps({"starts": starts, "argument": sys.argv[1]}))
rclpy.shutdown()
"""


def test_wheels_put_their_libraries_before_those_of_the_user():
    environment = ros_environment({"LD_LIBRARY_PATH": "/cuda"}, PREFIX, LIBRARIES, PROFILE)
    assert environment["LD_LIBRARY_PATH"] == "/venv/lib:/venv/ros_rcl.libs:/cuda"
    assert environment["AMENT_PREFIX_PATH"] == "/venv"


def test_entering_twice_changes_nothing():
    once = ros_environment({"LD_LIBRARY_PATH": "/cuda"}, PREFIX, LIBRARIES, PROFILE)
    assert ros_environment(once, PREFIX, LIBRARIES, PROFILE) == once


def test_a_loader_path_that_has_the_libraries_in_another_order_is_kept():
    path = "/venv/ros_rcl.libs:/cuda:/venv/lib"
    environment = ros_environment({"LD_LIBRARY_PATH": path}, PREFIX, LIBRARIES, PROFILE)
    assert environment["LD_LIBRARY_PATH"] == path


def test_an_installed_ros_keeps_its_paths_and_gets_the_dds_settings():
    inherited = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": "/opt/ros/jazzy"}
    environment = ros_environment(inherited, PREFIX, [], PROFILE)
    added = environment.keys() - inherited.keys()
    assert inherited.items() <= environment.items()
    assert added == {
        "FASTRTPS_DEFAULT_PROFILES_FILE",
        "FASTDDS_DEFAULT_PROFILES_FILE",
        "ROS_AUTOMATIC_DISCOVERY_RANGE",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FASTRTPS_DEFAULT_PROFILES_FILE", "/home/me/mine.xml"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF"),
    ],
)
def test_what_the_user_set_stays(name, value):
    assert ros_environment({name: value}, PREFIX, LIBRARIES, PROFILE)[name] == value


@pytest.mark.parametrize(
    "inherited",
    [{}, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, {"ROS_LOCALHOST_ONLY": "1"}],
)
def test_the_sockets_are_this_machines_alone_and_what_would_add_others_is_gone(inherited):
    environment = ros_environment(inherited, PREFIX, LIBRARIES, PROFILE)
    assert environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(PROFILE)
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
    assert "ROS_LOCALHOST_ONLY" not in environment


@pytest.mark.parametrize(
    "opened",
    [
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT"},
        {"ROS_STATIC_PEERS": "192.168.1.7"},
        {"ROS_DISCOVERY_SERVER": "192.168.1.7:11811"},
    ],
)
def test_who_says_that_other_machines_take_part_gets_the_other_profile_in_children_too(opened):
    parent = ros_environment(opened, PREFIX, LIBRARIES, PROFILE)
    child = ros_environment(parent, PREFIX, LIBRARIES, PROFILE.with_name("fastdds_images.xml"))
    assert Path(parent["FASTRTPS_DEFAULT_PROFILES_FILE"]).name == "fastdds_network.xml"
    assert Path(child["FASTRTPS_DEFAULT_PROFILES_FILE"]).name == "fastdds_images_network.xml"


@pytest.mark.parametrize(
    "theirs",
    [
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "/home/me/mine.xml"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_where_our_profile_is_not_read_the_discovery_range_keeps_others_out(theirs):
    environment = ros_environment(theirs, PREFIX, [], PROFILE)
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


@pytest.mark.parametrize("domain", ["300", "233", "-1", "1.5", "lab", "²", " "])
def test_a_domain_that_has_no_ports_is_refused_by_name(domain):
    with pytest.raises(ValueError, match=r"ROS_DOMAIN_ID is .* from 0 to 232"):
        ros_environment({"ROS_DOMAIN_ID": domain}, PREFIX, LIBRARIES, PROFILE)


@pytest.mark.parametrize("domain", ["", "0", "232"])
def test_a_domain_that_has_ports_stays(domain):
    given = {"ROS_DOMAIN_ID": domain}
    assert ros_environment(given, PREFIX, LIBRARIES, PROFILE)["ROS_DOMAIN_ID"] == domain


def test_an_unknown_discovery_range_is_refused_by_name():
    with pytest.raises(ValueError, match="ROS_AUTOMATIC_DISCOVERY_RANGE is 'local'"):
        ros_environment({"ROS_AUTOMATIC_DISCOVERY_RANGE": "local"}, PREFIX, LIBRARIES, PROFILE)


@pytest.mark.parametrize(
    ("inherited", "expected"),
    [
        ({"ROS_LOG_DIR": "{here}/logs"}, "{here}/logs"),
        ({"ROS_HOME": "{here}/ros"}, "{here}/ros/log"),
        ({"ROS_LOG_DIR": "{here}/logs", "ROS_HOME": "{here}/ros"}, "{here}/logs"),
    ],
)
def test_logs_go_where_the_user_wants_them(inherited, expected, tmp_path):
    given = {name: value.format(here=tmp_path) for name, value in inherited.items()}
    assert log_folder(given) == Path(expected.format(here=tmp_path))


def test_logs_go_to_a_temporary_folder_if_home_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert tmp_path in log_folder({}).parents


@pytest.mark.parametrize("profile", ["fastdds.xml", "fastdds_images.xml"])
def test_the_shipped_profiles_bind_to_the_loopback_address_and_the_others_do_not(profile):
    folder = share_folder() / "config"
    name = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
    closed = ElementTree.parse(folder / profile)
    bound = [
        [address.text for address in transport.iter(f"{name}address")]
        for transport in closed.iter(f"{name}transport_descriptor")
        if transport.findtext(f"{name}type") != "SHM"
    ]
    assert bound == [["127.0.0.1"]]
    assert closed.find(f".//{name}useBuiltinTransports").text == "false"
    opened = (folder / profile).with_stem(f"{Path(profile).stem}_network")
    assert "interfaceWhiteList" not in opened.read_text()


@pytest.mark.realtime
def test_a_node_has_no_socket_beyond_the_loopback_address(monkeypatch):
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name)
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
    code = """
from carp_ros.processes.ros_environment import enter
enter()
import rclpy
rclpy.init()
node = rclpy.create_node("listening")
print("up", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        addresses = {address for _, address in sockets_of(process.pid)}
        process.communicate("\n", timeout=20)
    assert addresses
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)


@pytest.mark.realtime
@pytest.mark.parametrize("guard", [{}, {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}])
def test_rclpy_starts_from_a_bare_environment_after_at_most_one_new_start(guard, tmp_path):
    script = tmp_path / "enter.py"
    script.write_text(ENTER_AND_REPORT)
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.getcwd(), **guard}
    run = subprocess.run(
        [sys.executable, str(script), "kept"], env=bare, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["argument"] == "kept"
    assert report["starts"] == (2 if guard else 1)


def test_a_process_that_publishes_images_has_their_profile_whoever_started_it():
    parent = ros_environment({}, PREFIX, LIBRARIES, PROFILE)
    images = PROFILE.with_name("fastdds_images.xml")
    child = ros_environment(parent, PREFIX, LIBRARIES, images)
    assert child["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(images)
    assert child["FASTDDS_DEFAULT_PROFILES_FILE"] == str(images)
