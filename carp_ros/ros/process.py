"""The life of a node's process, from its environment to its exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from carp_ros.errors import CarpError, UsageError
from carp_ros.processes.claim import Claim, TakenError, claim_within, domain
from carp_ros.processes.interrupts import take_held_interrupts
from carp_ros.processes.parent import end_with_starter
from carp_ros.processes.restarts import EXIT_BROKEN, EXIT_REFUSED
from carp_ros.processes.ros_environment import enter

_PREDECESSOR_S = 10.0  # a node whose launcher was killed ends within this time


def run_node(make_node: Callable[[], object], profile: str = "fastdds.xml") -> None:
    """Run a node until SIGINT, SIGTERM, SIGHUP, an error or the end of its launcher, then exit.

    A wrong parameter, rig file or device ends the process with one line that says what to do; a bug
    ends it with a traceback. If another process on this machine already runs a node of the same
    name in the same ROS domain, this one is refused before it joins the ROS graph.

    Args:
        make_node: Returns the node, an `rclpy.node.Node`; called once ROS is up.
        profile: Fast DDS settings, a file in `config/`.
    """
    try:
        enter(profile)
    except ValueError as error:
        sys.exit(str(error))
    interrupts: list[int] = []
    # rclpy's own handler ends `spin` and then calls this one, which raises nothing: neither a
    # running callback nor the clean-up of arm and episode is cut short, even if Ctrl-C comes twice
    signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    take_held_interrupts()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # a closed terminal acts like Ctrl-C
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    end_with_starter()
    try:
        claim = _claim_name()
    except CarpError as error:
        _say(error)
        sys.exit(EXIT_REFUSED)
    import rclpy  # after `enter`, which may re-execute this process
    from rclpy.executors import ExternalShutdownException
    from rclpy.utilities import ok

    from carp_ros.ros.executor import make_executor

    rclpy.init()
    node = None
    try:
        if interrupts:
            raise ExternalShutdownException
        node = make_node()
        executor = make_executor(lambda text: sys.stderr.write(f"{text}\n"))
        executor.add_node(node)  # pyright: ignore[reportArgumentType]
        executor.spin()
    except ExternalShutdownException:
        pass
    except (CarpError, ValueError) as error:
        _say(error)
        wrong = isinstance(error, UsageError) or (node is None and isinstance(error, ValueError))
        sys.exit(EXIT_REFUSED if wrong else EXIT_BROKEN)
    except Exception:
        # a signal shuts ROS down in a thread of rclpy's, perhaps in the middle of a callback and
        # before Python has called the handler above: what then failed is no bug
        if not interrupts and ok():
            traceback.print_exc()
            sys.exit(EXIT_BROKEN)
    finally:
        if node is not None:
            node.destroy_node()  # pyright: ignore[reportAttributeAccessIssue]
        if ok():
            rclpy.shutdown()
        claim.release()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # else the interpreter restores the default


def full_name(arguments: list[str]) -> str:
    """Return a node's full name, with its namespace, from its process's arguments."""
    name, namespace = Path(arguments[0]).stem, "/"
    for argument in arguments[1:]:
        rule, assigned, value = argument.partition(":=")
        kind = rule.rpartition(":")[2]  # `name:__ns:=...` addresses one of several nodes
        if assigned and kind == "__node":
            name = value
        elif assigned and kind == "__ns":
            namespace = value
    return f"/{namespace.strip('/')}/{name}".replace("//", "/")


def _claim_name() -> Claim:
    """Claim this node's name; wait for a predecessor that is about to end.

    Raises:
        CarpError: If the predecessor keeps running.
    """
    name = full_name(sys.argv)
    what = f"node {name} of ROS domain {domain()}"

    def waiting(holder: str) -> None:
        _say(f"waiting for {holder} to end, which also runs {name}")

    try:
        return claim_within(what, _PREDECESSOR_S, waiting)
    except TakenError as error:
        raise CarpError(
            f"{error.who} already runs {name} in ROS domain {domain()}: stop it, or start"
            " this one in another namespace (__ns) or ROS_DOMAIN_ID"
        ) from None


def _say(text: object) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
