#!/bin/bash
# Builds the package by colcon in the workspace that this is started in, which has it in src/carp_ros.
# Its Python packages go into .venv, which sees those of the ROS install beneath.
set -euo pipefail

python3 -m venv --system-site-packages .venv
touch .venv/COLCON_IGNORE
.venv/bin/pip install --no-cache-dir --constraint src/carp_ros/constraints.txt \
    'src/carp_ros/[sim,rtx]' 'setuptools<80'
.venv/bin/python -c 'import colcon_core' 2>/dev/null \
    || .venv/bin/pip install --no-cache-dir colcon-common-extensions # ROS's images have it
.venv/bin/pip uninstall --yes carp_ros # colcon's copy is the one that ROS finds
.venv/bin/python -m colcon build --packages-select carp_ros
