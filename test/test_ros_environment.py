import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carp_ros.ros_environment import ros_environment

PREFIX = Path("/venv")
LIBRARIES = [PREFIX / "lib", PREFIX / "ros_rcl.libs"]
PROFILE = Path("/share/config/fastdds.xml")

ENTER_AND_REPORT = """
import json, os, sys
starts = int(os.environ.get("STARTS", "0")) + 1
os.environ["STARTS"] = str(starts)
from carp_ros.ros_environment import enter
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
    "name", ["FASTRTPS_DEFAULT_PROFILES_FILE", "ROS_AUTOMATIC_DISCOVERY_RANGE"]
)
def test_what_the_user_set_stays(name):
    assert ros_environment({name: "mine"}, PREFIX, LIBRARIES, PROFILE)[name] == "mine"


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
