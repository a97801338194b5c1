"""The life of a node's process, from its environment to its exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from carp_ros.errors import CarpError
from carp_ros.ros_environment import enter


def run_node(make_node: Callable[[], object], profile: str = "fastdds.xml") -> None:
    """Run a node until SIGINT, SIGTERM or an error, and exit.

    A wrong parameter, rig file or device ends the process with one line that says what to do; what
    a bug raises ends it with its traceback.

    Args:
        make_node: Returns the node, an `rclpy.node.Node`; called once ROS is up.
        profile: Settings of Fast DDS, a file in `config/`.
    """
    try:
        enter(profile)
    except ValueError as error:
        sys.exit(str(error))
    import rclpy  # after `enter`, which may execute this process anew
    from rclpy.executors import ExternalShutdownException
    from rclpy.utilities import ok

    from carp_ros.nodes.executor import KeptExecutor

    interrupts: list[int] = []
    # rclpy's own handler ends `spin`, and then comes here: to raise nothing, so that neither what a
    # node is at nor how it leaves the arm and an episode is ever cut short; Ctrl-C may come twice
    signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    rclpy.init()
    node = None
    try:
        node = make_node()
        executor = KeptExecutor()
        executor.add_node(node)  # pyright: ignore[reportArgumentType]
        executor.spin()
    except ExternalShutdownException:
        pass
    except (CarpError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except Exception:
        if not interrupts:  # else ROS was gone while something was being published
            raise
    finally:
        if node is not None:
            node.destroy_node()  # pyright: ignore[reportAttributeAccessIssue]
        if ok():
            rclpy.shutdown()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter would put the default back
