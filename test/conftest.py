"""Every test, and every process that a test starts, runs in the package's ROS environment."""

import os

from carp_ros.ros_environment import this_environment

# Workers that run side by side must not hear each other's nodes. 60 to 91 stay clear of the
# domains that people use and below 101, where Linux's ephemeral ports begin.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ.setdefault("ROS_DOMAIN_ID", "60")
os.environ["ROS_DOMAIN_ID"] = str(int(os.environ["ROS_DOMAIN_ID"]) + _WORKER)
os.environ.update(this_environment())
