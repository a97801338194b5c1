"""Watches a running system: prints where the tool is and why the arm stands; can send it home.

carp up --mode teleop &
python examples/watch_system.py --home
"""

from __future__ import annotations

import argparse
import time

from carp_ros.processes.ros_environment import enter


def main() -> int:
    """Watch for a while; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--home", action="store_true", help="send the arm home; it moves")
    arguments = parser.parse_args()
    enter()  # before any ROS import
    from geometry_msgs.msg import PoseStamped

    from carp_ros.clients.conductor_node import ConductorNode
    from carp_ros.ros.qos import SENSOR
    from carp_ros.ros.spinning_node import taking_part

    with taking_part(lambda: ConductorNode("watch_system")) as node:
        newest: list[PoseStamped] = []
        node.create_subscription(PoseStamped, "tool_pose", newest.append, SENSOR)
        if arguments.home:
            node.go_home()
        until_s = time.monotonic() + arguments.seconds
        while time.monotonic() < until_s:
            time.sleep(1.0)
            if newest:
                p = newest[-1].pose.position
                print(f"tool at ({p.x:.3f}, {p.y:.3f}, {p.z:.3f}) m; {node.reason.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
