"""Describes the nodes of the system as data, for both `ros2 launch` and `carp up`."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from carp_ros.hardware.ros2_control_link import ARM_LINK
from carp_ros.inference.bundle import Bundle, load_bundle
from carp_ros.recording.episode import task_name
from carp_ros.rig import CELL_ADDRESS, Rig, load_rig
from carp_ros.rig_devices import LONGEST_RECOVERY_S, Ros2ControlArmConfig
from carp_ros.share import share_folder

if TYPE_CHECKING:
    from carp_ros.sim.task import Task

_ESSENTIAL = ("cell_node", "control_node")
_NAMESPACE = "(?!.*__)[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*"  # of ROS names

READY_WITHIN_S = LONGEST_RECOVERY_S + 45.0
"""How long start-up may take: the robot may have to power up and release its brakes, and then a
policy is loaded and checked against its golden case."""

LAUNCH_ARGUMENTS = (
    ("rig", "ur5e_sim", "path of a rig file, or the name of one in config/"),
    ("mode", "teleop", "what moves the arm: teleop, policy, or demonstrate (simulated cell)"),
    ("task", "", "task, with its objects on a simulated table: cup or bowl; empty: the rig's"),
    (
        "bundle",
        "",
        "for mode:=policy: the policy's folder or name in models/; empty: the task's own",
    ),
    ("record", "false", "true or false: start the recorder, which writes one bag per episode"),
    ("folder", "episodes", "folder for recorded episodes"),
    ("namespace", "", "of all names, for a second rig in the same ROS domain; empty: none"),
)
"""Arguments of the launch files: name, default, description; `describe` takes them."""

SystemMode = Literal["teleop", "policy", "demonstrate"]
"""What moves the arm: a person, a policy, or the scripted operator of the simulated cell."""


@dataclass(frozen=True)
class NodeProcess:
    """One node, in its own process.

    Attributes:
        name: Name of the node in the ROS graph.
        executable: Executable in `<prefix>/lib/carp_ros`, and its module in `package`.
        parameters: ROS parameters by name.
        namespace: Namespace of the node and its topics and services, without the leading slash.
        environment: Variables to add to those of the process that starts it.
        essential: Whether the arm cannot be held safely without it, so that its end ends the
            system. Other nodes are restarted (`carp_ros.processes.restarts`).
        package: Python package of its module.
    """

    name: str
    executable: str
    parameters: Mapping[str, str | float | bool]
    namespace: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    essential: bool = True
    package: str = "carp_ros.nodes"


def describe(
    rig: str | Rig,
    mode: str = "teleop",
    *,
    task: str = "",
    bundle: str = "",
    record: bool = False,
    folder: str = "episodes",
    namespace: str = "",
) -> tuple[NodeProcess, ...]:
    """Return the nodes of one rig in the order in which they start.

    Args:
        rig: Path of a rig file, or the name of one in `config/`; or the rig, if it is loaded.
        mode: A `SystemMode`.
        task: Task of the policy and of recorded episodes, with its objects on the simulated table;
            on a real rig in words. Empty for the rig file's, or for the policy's only one.
        bundle: Folder of the policy, or the name of one in `models/`; for mode `policy` only.
            Empty: the policy shipped with the package for the task.
        record: Whether to start the recorder.
        folder: Folder for recorded episodes.
        namespace: Namespace of all names, for a second system in the same ROS domain; empty: none.

    Raises:
        ValueError: If the rig file or the bundle is invalid, or does not support the request.
    """
    content = rig if isinstance(rig, Rig) else load_rig(rig_path(rig))
    operator = _operator(mode, bundle, content)
    namespace = _namespace(namespace)
    environment = content.file.environment
    if content.cell:
        environment[CELL_ADDRESS] = content.arm.host
    bridged = isinstance(content.arm, Ros2ControlArmConfig)
    if bridged:
        environment[ARM_LINK] = namespace.replace("/", ".")
    common = {"rig": str(content.file.path), "rig_sha256": content.file.sha256}

    def node(name: str, **parameters: str) -> NodeProcess:
        essential = name in _ESSENTIAL
        return NodeProcess(name, name, common | parameters, namespace, environment, essential)

    thinker: tuple[NodeProcess, ...] = ()
    cameras = "none"  # without a policy, motion does not depend on cameras
    if mode == "policy":
        thinks, cameras = _policy(bundle, task, content)
        task = task or thinks["task"]
        thinker = (node("policy_node", **thinks),)
    if content.cell and task:
        task = _cell_task(task).name
    staged = {"task": task} if task and content.cell else {}
    cell = (node("cell_node", **staged),) if content.cell else ()
    bridge = (node("arm_bridge_node"),) if bridged else ()
    driven = [name for name, camera in content.cameras.items() if camera.driver != "external"]
    camera_nodes = (node("camera_node", **staged, cameras=" ".join(driven)),) if driven else ()
    recorded = _recorded_task(task) | _recorder(mode, folder)
    recorder = (node("recorder_node", **recorded),) if record else ()
    managed = " ".join(["control_node", *(child.name for child in (*thinker, *recorder))])
    return (
        *cell,
        *camera_nodes,
        *bridge,
        node("control_node", cameras=cameras),
        *thinker,
        node("teleop_node", **staged, device=operator),
        *recorder,
        node("supervisor_node", managed=managed, mode=mode),
    )


def launch_values(given: Mapping[str, str], fixed: Mapping[str, str]) -> dict[str, Any]:
    """Convert a launch file's arguments, given as text, to the arguments of `describe`.

    Args:
        given: Arguments given or with a default, by name.
        fixed: Arguments fixed by the launch file, by name.

    Raises:
        ValueError: If an argument is unknown, invalid, or contradicts a fixed one.
    """
    names = [name for name, _, _ in LAUNCH_ARGUMENTS]
    for name, value in given.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            meant = f"; was {close[0]}:= meant?" if close else ""
            raise ValueError(
                f"{name}:={value} is no launch argument; expected {', '.join(names)}{meant}"
            )
        if value != fixed.get(name, value):
            raise ValueError(
                f"{name}:={value} was given, but this launch file is for {name}:={fixed[name]};"
                " leave it out, or take another file, such as system.launch.py"
            )
    values: dict[str, Any] = {**given, **fixed}
    if "record" in values:
        values["record"] = _truth("record", values["record"])
    return values


def rig_path(rig: str) -> Path:
    """Return the absolute path of a rig file given as a path or as a name in `config/`."""
    if rig.endswith((".yaml", ".yml")):
        return _absolute(rig)
    return share_folder() / "config" / f"{rig}.yaml"


def bundle_path(bundle: str) -> Path:
    """Return the absolute path of a bundle folder given as a path or as a name in `models/`."""
    named = share_folder() / "models" / bundle
    given = _absolute(bundle)
    return named if named.is_dir() and not given.is_dir() else given


def simulated_rig(path: Path) -> Rig:
    """Load a rig on which a measurement may move the arm by itself, that is, a simulated one.

    Raises:
        ValueError: If the file is no valid rig, or the rig is not simulated.
    """
    rig = load_rig(path)
    if rig.cell is None:
        raise ValueError(
            f"{path} has no section cell, so that a real arm would move by itself; expected a"
            " simulated rig, such as ur5e_sim"
        )
    return rig


def shipped_bundle(task: str, rig: Rig) -> Bundle | None:
    """Return the package's own policy for a task on this rig; None without one.

    Policies of this task alone come first, then those that follow instructions; among them the
    rig's own, which is known to fit without the file of another rig.
    """
    models = share_folder() / "models"
    own = next(_bundles_for(rig, models.glob(f"carp_{task}_*")), None)
    if own is not None:
        return own
    others = _bundles_for(rig, models.iterdir())
    return next((bundle for bundle in others if bundle.spec.takes_instruction), None)


def _bundles_for(rig: Rig, folders: Iterable[Path]) -> Iterator[Bundle]:
    """Yield the valid bundles that can run on a rig, the rig's own first.

    A bundle of another rig is compared, and that rig's file read, only when it is asked for.
    """
    found: list[Bundle] = []
    for folder in sorted(folders):
        with contextlib.suppress(ValueError):
            found.append(load_bundle(folder))
    for bundle in sorted(found, key=lambda bundle: bundle.manifest.rig != rig.name):
        try:
            bundle.require_rig(rig)
        except ValueError:
            continue
        yield bundle


def _absolute(path: str) -> Path:
    """Return the absolute form of a path that a person typed.

    Raises:
        ValueError: If it begins with a home folder that does not exist.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(
            f"{path} begins with {path.partition('/')[0]}, and that user has no home folder here;"
            f" expected a path, or ./{path} for a folder of that name"
        ) from error


def _policy(bundle: str, task: str, rig: Rig) -> tuple[dict[str, str], str]:
    """Return the parameters of `policy_node`, which loads the bundle again, and its cameras.

    Raises:
        ValueError: If the bundle is missing, invalid, or not for this rig and task.
    """
    if bundle:
        loaded = load_bundle(bundle_path(bundle))
        loaded.require_rig(rig)
    else:
        task = task or (rig.cell.task if rig.cell else "")
        shipped = shipped_bundle(task, rig) if task else None
        if shipped is None:
            raise ValueError(
                "mode is policy, but bundle is empty; expected a policy's folder: this version has"
                f" none {f'for {task} on {rig.name}' if task else 'where no task is named'}"
            )
        loaded = shipped
    cameras = " ".join(loaded.manifest.cameras)
    instruction = _cell_task(task).instruction if rig.cell and task else ""
    task = loaded.spec.task_named(task, instruction)
    return {"bundle": str(loaded.folder), "task": task}, cameras


def _cell_task(task: str) -> Task:
    """Return the simulated cell's task of that name or instruction.

    Raises:
        ValueError: If there is none.
    """
    from carp_ros.sim.tasks import task_named  # MuJoCo is needed only on a simulated rig

    return task_named(task)


def _recorded_task(task: str) -> dict[str, str]:
    """Return the recorder's parameters of a task, which may be named or said in words."""
    if not task:
        return {}
    name = task_name(task)
    return {"task": name} if name == task else {"task": name, "instruction": task}


def _truth(name: str, text: str) -> bool:
    """Return a launch argument as a bool, read as launch itself does."""
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise ValueError(f"{name}:={text} was given; expected true or false")
    return values[text.lower()]


def _namespace(text: str) -> str:
    """Return a namespace without leading and trailing slashes.

    Raises:
        ValueError: If it is invalid.
    """
    namespace = text.strip("/")
    if namespace and not re.fullmatch(_NAMESPACE, namespace):
        raise ValueError(
            f"namespace is {text!r}; expected letters, digits and single _, not beginning with a"
            " digit, such as left or lab/left"
        )
    return namespace


def _recorder(mode: str, folder: str) -> dict[str, str]:
    """Return the parameters of `recorder_node`, which finds out a person's name by itself."""
    place = {"folder": str(_absolute(folder))}
    return place | ({"operator": "demonstrator"} if mode == "demonstrate" else {})


def _operator(mode: str, bundle: str, rig: Rig) -> str:
    """Return whom `teleop_node` listens to in this mode: a person's pointer or the demonstrator."""
    if mode not in get_args(SystemMode):
        raise ValueError(f"mode is {mode!r}; expected one of {', '.join(get_args(SystemMode))}")
    if mode == "policy":
        return "pointer"  # a person can take over
    if bundle:
        raise ValueError(f"bundle is {bundle!r}, but mode is {mode}; it belongs to mode policy")
    if mode == "teleop":
        return "pointer"
    if rig.cell is None:
        raise ValueError(
            f"mode is demonstrate, but {rig.file.path} has no simulated cell, and only there"
            " does the scripted operator know where things lie: use teleop"
        )
    return "demonstrator"
