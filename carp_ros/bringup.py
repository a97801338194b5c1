"""The nodes of the system, as data: `ros2 launch` and `carp up` start them both from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from carp_ros.inference.bundle import load_bundle
from carp_ros.rig import Rig, load_rig
from carp_ros.share import share_folder

Mode = Literal["teleop", "policy", "demonstrate"]
"""Who moves the arm: a person, a policy, or the scripted operator of the simulated cell."""


@dataclass(frozen=True)
class NodeProcess:
    """One node, in a process of its own.

    Attributes:
        name: Of the node in the ROS graph.
        executable: In `<prefix>/lib/carp_ros`; the module of the same name in `carp_ros.nodes`.
        parameters: ROS parameters by name.
    """

    name: str
    executable: str
    parameters: Mapping[str, str | float | bool]


def describe(
    rig: str,
    mode: str = "teleop",
    *,
    task: str = "",
    bundle: str = "",
    record: bool = False,
    folder: str = "episodes",
) -> tuple[NodeProcess, ...]:
    """Return the nodes of one rig in the order in which they start.

    Args:
        rig: Path of a rig's file, or the name of one in `config/`.
        mode: A `Mode`.
        task: What a simulated cell lays on the table and a policy does; empty for what the rig's
            file says, or for the policy's only one.
        bundle: Folder of the policy, or the name of one in `models/`; for mode `policy` alone.
            Empty there: the one that comes with the package for the task.
        record: Start the recorder, too.
        folder: Where it puts episodes.

    Raises:
        ValueError: If the rig's file or the bundle is wrong, or can't do what is asked.
    """
    path = rig_path(rig)
    content = load_rig(path)
    operator = _operator(mode, bundle, content, path)
    common = {"rig": str(path), "rig_sha256": content.sha256}
    thinker: tuple[NodeProcess, ...] = ()
    if mode == "policy":
        thinks = _policy(bundle, task, content)
        task = thinks["task"]
        thinker = (NodeProcess("policy_node", "policy_node", common | thinks),)
    staged = common | ({"task": task} if task else {})
    cell = (NodeProcess("cell_node", "cell_node", staged),) if content.cell else ()
    recorder = (NodeProcess("recorder_node", "recorder_node", _recorder(staged, mode, folder)),)
    recorder = recorder if record else ()
    managed = " ".join(["control_node", *(node.name for node in (*thinker, *recorder))])
    return (
        *cell,
        NodeProcess("control_node", "control_node", common),
        *thinker,
        NodeProcess("teleop_node", "teleop_node", staged | {"device": operator}),
        *recorder,
        NodeProcess("supervisor_node", "supervisor_node", common | {"managed": managed}),
    )


def rig_path(rig: str) -> Path:
    """Return the absolute path of a rig's file, given as a path or as a name in `config/`."""
    if rig.endswith((".yaml", ".yml")):
        return Path(rig).expanduser().absolute()
    return share_folder() / "config" / f"{rig}.yaml"


def bundle_path(bundle: str) -> Path:
    """Return the absolute path of a bundle's folder, given as a path or as a name in `models/`."""
    named = share_folder() / "models" / bundle
    given = Path(bundle).expanduser().absolute()
    return named if named.is_dir() and not given.is_dir() else given


def shipped_bundle(task: str) -> Path:
    """Return where the package's own policy of a task lies, if there is one."""
    return share_folder() / "models" / f"carp_{task}_sim"


def _policy(bundle: str, task: str, rig: Rig) -> dict[str, str]:
    """Return the parameters of `policy_node`, which loads the bundle once more, and runs it.

    Raises:
        ValueError: If the bundle is none, or not one for this rig and task.
    """
    if bundle:
        folder = bundle_path(bundle)
    else:
        task = task or (rig.cell.task if rig.cell else "")
        folder = shipped_bundle(task)
        if not folder.is_dir():
            raise ValueError(
                "mode is policy, but bundle is empty; expected a policy's folder, for none comes"
                f" with this version {f'for the task {task}' if task else 'where no task is named'}"
            )
    loaded = load_bundle(folder)
    loaded.require_rig(rig)
    return {"bundle": str(loaded.folder), "task": loaded.task_named(task)}


def _recorder(staged: dict[str, str], mode: str, folder: str) -> dict[str, str]:
    """Return the parameters of `recorder_node`; a person's name is found there."""
    place = {"folder": str(Path(folder).expanduser().absolute())}
    return staged | place | ({"operator": "demonstrator"} if mode == "demonstrate" else {})


def _operator(mode: str, bundle: str, rig: Rig, path: Path) -> str:
    """Return the pointer that `teleop_node` reads in this mode."""
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; expected one of {', '.join(get_args(Mode))}")
    if mode == "policy":
        return "spacemouse"  # a person can take over
    if bundle:
        raise ValueError(f"bundle is {bundle!r}, but mode is {mode}; it belongs to mode policy")
    if mode == "teleop":
        return "spacemouse"
    if rig.cell is None:
        raise ValueError(
            f"mode is demonstrate, but {path} has no simulated cell, and only there does the"
            " scripted operator know where things lie: use teleop"
        )
    return "demonstrator"
