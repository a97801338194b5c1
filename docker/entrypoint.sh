#!/bin/bash
# Runs a command in the workspace: ROS, the package and its Python packages are found.
set -e
. /carp/.venv/bin/activate
. /opt/ros/jazzy/setup.bash
. /carp/install/setup.bash
PATH=/carp/install/carp_ros/lib/carp_ros:$PATH # colcon puts `carp` beside the nodes
exec "$@"
