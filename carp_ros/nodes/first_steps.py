"""The hint printed once everything is up: which services let the arm move."""

from __future__ import annotations

from carp_ros.system.bringup import SystemMode

_TRIGGER = "std_srvs/srv/Trigger"


def first_steps(mode: SystemMode, namespace: str) -> str:
    """Return the service calls that let the arm move in a mode, as text.

    Args:
        mode: What moves the arm.
        namespace: Namespace of the services, `/` if none.
    """
    prefix = namespace.rstrip("/")
    source, who = ("policy", "the policy") if mode == "policy" else ("teleop", "the operator")
    steps = [
        f"ros2 service call {prefix}/control/select_{source} {_TRIGGER}",
        f"ros2 service call {prefix}/control/enable std_srvs/srv/SetBool '{{data: true}}'",
    ]
    if mode == "demonstrate":
        steps.append(f"ros2 service call {prefix}/cell/scatter {_TRIGGER}")
    text = f"the arm stands still until you let {who} move it: {', then '.join(steps)}"
    if mode == "teleop":
        text += ", then hold the pointer's dead-man button"
    if mode == "demonstrate":
        text += ", because the scripted operator begins once the objects are laid out afresh"
    return f"{text}; enable with false stops it"
