"""What a person is told once everything is up: how to let the arm move, by the names in force."""

from __future__ import annotations

from carp_ros.system.bringup import SystemMode

_TRIGGER = "std_srvs/srv/Trigger"


def first_steps(mode: SystemMode, namespace: str) -> str:
    """Return what lets the arm move in a mode.

    Args:
        mode: Who moves it.
        namespace: Of the services, `/` if none.
    """
    prefix = namespace.rstrip("/")
    source, who = ("policy", "the policy") if mode == "policy" else ("teleop", "the hand")
    steps = [
        f"ros2 service call {prefix}/control/select_{source} {_TRIGGER}",
        f"ros2 service call {prefix}/control/enable std_srvs/srv/SetBool '{{data: true}}'",
    ]
    if mode == "demonstrate":
        steps.append(f"ros2 service call {prefix}/cell/scatter {_TRIGGER}")
    text = f"the arm stands until you let {who} move it: {', then '.join(steps)}"
    if mode == "teleop":
        text += ", then hold the SpaceMouse's dead-man button"
    if mode == "demonstrate":
        text += ", for the scripted operator begins when the objects are laid out anew"
    return f"{text}; enable with false stops it"
