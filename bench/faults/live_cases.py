"""What is done to a running system: messages, services, parameters, lifecycle transitions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import PoseStamped, Transform, TwistStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Float64, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import (
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)

from bench.faults.campaign import Chance
from bench.faults.hostile import NAMES, shown
from bench.faults.watch import Watch
from carp_ros.errors import DeviceError
from carp_ros.ros.qos import COMMAND, EVENTS, LATCHED, SENSOR

_HEARD_S = 0.5
_ANSWER_S = 5.0
FLOATS = (math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-308, 0.0, -0.0, 10.0, -10.0, 1e6, 0.3)
TEXTS = (
    "",
    "{}",
    "[]",
    "null",
    "{",
    '{"enabled": true}',
    "NaN",
    '{"schema": 1e999}',
    "\u0000",
    "{" * 5000,
)
MANAGED = ("control_node", "policy_node", "recorder_node")


class NoAnswer(Exception):
    """A service did not answer in time."""


@dataclass(frozen=True)
class Act:
    """What a case does.

    Attributes:
        name: Of its sort.
        what: In words, with values.
        do: Does it, and returns what was answered, or nothing.
    """

    name: str
    what: str
    do: Callable[[], str]


def message(chance: Chance, watch: Watch) -> Act:
    """Return a case that publishes what nobody should."""
    sorts = (
        _chunk,
        _chunk,
        _chunk,
        _chunk,
        _twist,
        _pose,
        _joints,
        _image,
        _info,
        _text,
        _number,
        _raw,
    )
    sort = sorts[int(chance.integers(len(sorts)))]
    topics, what = sort(chance, watch)
    times = int((1, 1, 5, 30)[int(chance.integers(4))])

    def do() -> str:
        _publish(watch, topics, times)
        return ""

    name = sort.__name__.removeprefix("_")
    return Act(name, f"{', '.join(t for _, t, _, _ in topics)}, {times} times: {what}", do)


def service(chance: Chance, watch: Watch) -> Act:
    """Return a case that calls services at the wrong time, or with wrong values."""
    sorts = (_triggers, _triggers, _parameter, _parameter, _parameter, _odd_parameters)
    sort = sorts[int(chance.integers(len(sorts)))]
    what, do = sort(chance, watch)
    return Act(sort.__name__.removeprefix("_"), what, do)


def lifecycle(chance: Chance, watch: Watch) -> Act:
    """Return a case that asks managed nodes for transitions, sensible or not, one or several."""
    known = [Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE]
    known += [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP]
    odd = [0, 5, 8, 99]  # not those that shut a node down for good: that is what they mean
    names = [n for n in MANAGED if n != "policy_node" or watch.mode == "policy"]
    node = names[int(chance.integers(len(names)))]
    count = int((1, 1, 2, 4)[int(chance.integers(4))])
    numbers = [
        int((odd if chance.random() < 0.25 else known)[int(chance.integers(4))])
        for _ in range(count)
    ]
    pause_s = float((0.0, 0.0, 0.1, 0.5)[int(chance.integers(4))])
    label = TEXTS[int(chance.integers(3))] if chance.random() < 0.2 else ""

    def do() -> str:
        said = []
        for number in numbers:
            request = ChangeState.Request(transition=Transition(id=number, label=label))
            answer = _call(watch, ChangeState, f"{node}/change_state", request, 15.0)
            said.append("yes" if answer.success else "no")
            time.sleep(pause_s)
        return f"answers: {', '.join(said)}"

    return Act("transitions", f"{node}: {numbers}, {pause_s} s between", do)


def bring_back(watch: Watch, timeout_s: float = 40.0) -> str:
    """Lead all managed nodes to active, as an operator would; return what does not come."""
    deadline_s = time.monotonic() + timeout_s
    left = "nothing"
    while time.monotonic() < deadline_s:
        left = ""
        for node in MANAGED:
            if node == "policy_node" and watch.mode != "policy":
                continue
            try:
                state = _call(watch, GetState, f"{node}/get_state", GetState.Request(), 5.0)
            except (NoAnswer, DeviceError):
                left = f"{node} does not answer"
                continue
            number = {
                State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
                State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
            }.get(state.current_state.id)
            if state.current_state.id == State.PRIMARY_STATE_ACTIVE:
                continue
            left = f"{node} is {state.current_state.label}"
            if number is not None:
                request = ChangeState.Request(transition=Transition(id=number))
                try:
                    _call(watch, ChangeState, f"{node}/change_state", request, 20.0)
                except (NoAnswer, DeviceError):
                    left = f"{node} does not answer a transition"
        if not left:
            return ""
        time.sleep(0.3)
    return left


Topics = list[tuple[Any, str, Any, Any]]
"""Type, topic, quality of service, message."""


def _publish(watch: Watch, topics: Topics, times: int) -> None:
    publishers = [watch.create_publisher(kind, topic, qos) for kind, topic, qos, _ in topics]
    deadline_s = time.monotonic() + _HEARD_S
    while time.monotonic() < deadline_s and not all(p.get_subscription_count() for p in publishers):
        time.sleep(0.02)
    for _ in range(times):
        for publisher, (_, _, _, content) in zip(publishers, topics):
            publisher.publish(content)
        time.sleep(0.01)
    time.sleep(0.1)
    for publisher in publishers:
        watch.destroy_publisher(publisher)


def _call(watch: Watch, kind: Any, name: str, request: Any, timeout_s: float = _ANSWER_S) -> Any:
    client = watch.create_client(kind, name)
    try:
        if not client.wait_for_service(timeout_s):
            raise NoAnswer(f"no service {name}")
        future = client.call_async(request)
        deadline_s = time.monotonic() + timeout_s
        while not future.done():
            if time.monotonic() > deadline_s:
                raise NoAnswer(f"{name} does not answer within {timeout_s:.0f} s")
            time.sleep(0.005)
        return future.result()
    finally:
        watch.destroy_client(client)


def _stamp(chance: Chance, watch: Watch) -> tuple[Time, str]:
    now_ns = watch.get_clock().now().nanoseconds
    seconds, rest = divmod(now_ns, 10**9)
    ways: dict[str, Time] = {
        "now": Time(sec=seconds, nanosec=rest),
        "zero": Time(),
        "negative": Time(sec=-5, nanosec=7),
        "the least": Time(sec=-(2**31)),
        "the most": Time(sec=2**31 - 1, nanosec=2**32 - 1),
        "in an hour": Time(sec=seconds + 3600),
        "an hour ago": Time(sec=seconds - 3600),
        "in 0.3 s": Time(sec=(now_ns + 3 * 10**8) // 10**9, nanosec=(now_ns + 3 * 10**8) % 10**9),
        "of 2e9 ns": Time(sec=seconds, nanosec=2 * 10**9),
    }
    way = "now" if chance.random() < 0.6 else list(ways)[int(chance.integers(len(ways)))]
    return ways[way], way


def _frame(chance: Chance, watch: Watch) -> str:
    if chance.random() < 0.75:
        return watch.rig.robot.base_frame
    names = [name for name in NAMES if "\x00" not in name]
    return names[int(chance.integers(len(names)))]


def _number(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    value = FLOATS[int(chance.integers(len(FLOATS)))]
    sorts = (("teleop/gripper", COMMAND), ("gripper_command", SENSOR), ("gripper_state", SENSOR))
    topic, qos = sorts[int(chance.integers(3))]
    if chance.random() < 0.3:
        return [(Bool, "teleop/deadman", COMMAND, Bool(data=True))], "true"
    return [(Float64, topic, qos, Float64(data=value))], str(value)


def _text(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    topics = (
        ("control/status", LATCHED),
        ("episode/event", EVENTS),
        ("recorder/quality", EVENTS),
        ("policy/inference", SENSOR),
        ("control/followed", SENSOR),
    )
    topic, qos = topics[int(chance.integers(len(topics)))]
    text = TEXTS[int(chance.integers(len(TEXTS)))].replace("\x00", "")
    return [(String, topic, qos, String(data=text))], shown(text)


def _pose(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    msg = PoseStamped()
    msg.header.stamp, when = _stamp(chance, watch)
    msg.header.frame_id = _frame(chance, watch)
    p, q = msg.pose.position, msg.pose.orientation
    p.x, p.y, p.z, q.x, q.w = 0.45, 0.0, 0.3, 1.0, 0.0
    act = int(chance.integers(4))
    what = "as it should be"
    if act == 0:
        q.x = q.y = q.z = q.w = 0.0
        what = "a quaternion of zeros"
    elif act == 1:
        setattr(q, "xyzw"[int(chance.integers(4))], FLOATS[int(chance.integers(len(FLOATS)))])
        what = f"quaternion {q.x, q.y, q.z, q.w}"
    elif act == 2:
        setattr(p, "xyz"[int(chance.integers(3))], FLOATS[int(chance.integers(len(FLOATS)))])
        what = f"position {p.x, p.y, p.z}"
    topic = ("tool_pose", "target_pose")[int(chance.integers(2))]
    return [
        (PoseStamped, topic, SENSOR, msg)
    ], f"{what}, stamp {when}, frame {shown(msg.header.frame_id)}"


def _joints(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    names = list(watch.rig.robot.joint_names)
    msg = JointState(name=names, position=[0.1] * 6, velocity=[0.0] * 6)
    msg.header.stamp, when = _stamp(chance, watch)
    msg.header.frame_id = _frame(chance, watch)
    act = int(chance.integers(5))
    if act == 0:
        msg.position = [FLOATS[int(chance.integers(len(FLOATS)))]] * 6
    elif act == 1:
        msg.position = [0.1] * int(chance.integers(6))
    elif act == 2:
        msg.name = names[::-1]
    elif act == 3:
        msg.name = []
    elif act == 4:
        msg.name, msg.position = ["x" * 10_000] * 6, [0.1] * 6
    return [(JointState, "joint_states", SENSOR, msg)], f"way {act}, stamp {when}"


def _twist(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    msg = TwistStamped()
    msg.header.stamp, when = _stamp(chance, watch)
    msg.header.frame_id = _frame(chance, watch)
    part = msg.twist.linear if chance.random() < 0.5 else msg.twist.angular
    for axis in "xyz":
        setattr(part, axis, FLOATS[int(chance.integers(len(FLOATS)))])
    what = f"{part.x, part.y, part.z}, stamp {when}, frame {shown(msg.header.frame_id)}"
    topics: Topics = [(TwistStamped, "teleop/twist", COMMAND, msg)]
    if chance.random() < 0.6:
        topics.append((Bool, "teleop/deadman", COMMAND, Bool(data=True)))
    return topics, what


def _image(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    camera = list(watch.rig.cameras)[int(chance.integers(len(watch.rig.cameras)))]
    config = watch.rig.cameras[camera]
    msg = Image(height=config.height_px, width=config.width_px, encoding="rgb8")
    msg.step = 3 * msg.width
    msg.header.stamp, when = _stamp(chance, watch)
    msg.data = bytes(msg.step * msg.height)
    acts: tuple[tuple[str, Any], ...] = (
        ("data", b""),
        ("data", bytes(17)),
        ("encoding", "yuv422"),
        ("encoding", ""),
        ("encoding", "x" * 5000),
        ("height", 2**32 - 1),
        ("width", 0),
        ("step", 0),
        ("step", 2**32 - 1),
        ("width", 1),
        ("is_bigendian", 1),
        ("height", 1),
    )
    name, value = acts[int(chance.integers(len(acts)))]
    setattr(msg, name, value)
    return [(Image, f"{camera}/image_raw", SENSOR, msg)], f"{name} {shown(value)}, stamp {when}"


def _info(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    camera = list(watch.rig.cameras)[int(chance.integers(len(watch.rig.cameras)))]
    msg = CameraInfo(height=0, width=0)
    msg.header.stamp, when = _stamp(chance, watch)
    msg.k = [FLOATS[int(chance.integers(len(FLOATS)))]] * 9
    msg.d = [math.nan] * int((0, 5, 5000)[int(chance.integers(3))])
    return [(CameraInfo, f"{camera}/camera_info", SENSOR, msg)], f"K of {msg.k[0]}, stamp {when}"


def _raw(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    """Bytes that are no message of the topic's type."""
    sorts = (
        (MultiDOFJointTrajectory, "chunk", COMMAND),
        (TwistStamped, "teleop/twist", COMMAND),
        (PoseStamped, "tool_pose", SENSOR),
        (JointState, "joint_states", SENSOR),
        (Image, f"{next(iter(watch.rig.cameras))}/image_raw", SENSOR),
        (String, "episode/event", EVENTS),
    )
    kind, topic, qos = sorts[int(chance.integers(len(sorts)))]
    data = b"\x00\x01\x00\x00" + chance.bytes(int((0, 3, 40, 2000)[int(chance.integers(4))]))
    return [(kind, topic, qos, data)], f"{len(data)} bytes"


def _chunk(chance: Chance, watch: Watch) -> tuple[Topics, str]:
    """A chunk near where the tool is, with something about it that should not be."""
    steps = 16
    acts = (
        "far", "numbers", "quaternion", "times", "lengths", "names", "stamp", "frame", "none",
        "long", "two transforms", "gripper", "alone", "near", "past",
    )  # fmt: skip
    act = acts[int(chance.integers(len(acts)))]
    if act == "none":
        steps = 0
    elif act == "long":
        steps = int((300, 3000, 20_000)[int(chance.integers(3))])
    at = np.array(watch.position)
    value = FLOATS[int(chance.integers(len(FLOATS)))]
    place = int(chance.integers(max(steps, 1)))
    points, closures = [], []
    for k in range(steps):
        x, y, z = at + np.array([0.002 * k % 0.05, 0.0, 0.0])
        if act == "far":
            x, y, z = at + np.array([0.2, -0.2, 0.2]) * (k + 1)
        move = Transform()
        move.translation.x, move.translation.y, move.translation.z = float(x), float(y), float(z)
        move.rotation.x, move.rotation.w = 1.0, 0.0
        if act == "numbers" and k == place:
            setattr(move.translation, "xyz"[int(chance.integers(3))], value)
        if act == "quaternion" and k >= place:
            move.rotation.x = (0.0, 2.0, math.nan, 1e-200, 1e200)[place % 5]
        seconds = 0.1 * (k + 1)
        if act == "times":
            seconds = (0.1, -3600.0, 1e-9 * k, 2000.0 * k, 0.1 * (steps - k))[place % 5]
        if act == "past":
            seconds = -1000.0 * (steps - k) if k < place else 0.1 * k
        after = Duration(sec=math.floor(seconds), nanosec=int((seconds % 1) * 1e9) % 10**9)
        moves = [move, move] if act == "two transforms" and k == place else [move]
        points.append(MultiDOFJointTrajectoryPoint(transforms=moves, time_from_start=after))
        closure = value if act == "gripper" and k == place else 0.5
        closures.append(JointTrajectoryPoint(positions=[closure], time_from_start=after))
    poses = MultiDOFJointTrajectory(joint_names=["tcp"], points=points)
    gripper = JointTrajectory(joint_names=["gripper"], points=closures)
    if act == "lengths":
        gripper.points = closures[:-1]
    if act == "names":
        poses.joint_names = [[], ["tcp", "tcp"], ["x" * 5000]][place % 3]
    stamp, when = _stamp(chance, watch) if act == "stamp" else (Time(), "now")
    if act != "stamp":
        seconds, rest = divmod(watch.get_clock().now().nanoseconds, 10**9)
        stamp = Time(sec=seconds, nanosec=rest)
    poses.header.stamp = gripper.header.stamp = stamp
    base = watch.rig.robot.base_frame
    poses.header.frame_id = gripper.header.frame_id = "tool0" if act == "frame" else base
    topics: Topics = [(MultiDOFJointTrajectory, "chunk", COMMAND, poses)]
    if act != "alone":
        topics.insert(0, (JointTrajectory, "gripper_chunk", COMMAND, gripper))
    return topics, f"{act}, {steps} steps, step {place}, value {value}, stamp {when}"


def _triggers(chance: Chance, watch: Watch) -> tuple[str, Callable[[], str]]:
    """Services that move, stop, record or scatter, in any order."""
    names = (
        "control/select_policy",
        "control/select_teleop",
        "control/home",
        "control/reset_fault",
        "control/enable",
        "control/enable",
        "recorder/start",
        "recorder/stop",
        "recorder/discard",
        "recorder/mark_success",
        "cell/scatter",
        "cell/judge",
        "supervisor/check",
    )
    chosen = [names[int(i)] for i in chance.integers(len(names), size=int(chance.integers(1, 5)))]
    values = [bool(v) for v in chance.integers(2, size=len(chosen))]

    def do() -> str:
        said = []
        for name, value in zip(chosen, values):
            if name in ("control/home", "control/enable"):
                watch.expect_enabling()
            if name in ("control/enable", "recorder/mark_success"):
                answer = _call(watch, SetBool, name, SetBool.Request(data=value))
            else:
                answer = _call(watch, Trigger, name, Trigger.Request(), 10.0)
            said.append("yes" if answer.success else f"no: {answer.message}")
        return "; ".join(said)

    return ", ".join(f"{n} {v}" if "/e" in n else n for n, v in zip(chosen, values)), do


def _parameter(chance: Chance, watch: Watch) -> tuple[str, Callable[[], str]]:
    """A parameter of a node gets a value that it should not."""
    nodes = ["cell_node", "control_node", "teleop_node", "recorder_node", "supervisor_node"]
    nodes += ["camera_node"]
    nodes += ["policy_node"] if watch.mode == "policy" else []
    node = nodes[int(chance.integers(len(nodes)))]
    choice = int(chance.integers(1000))
    value = _value(chance)

    def do() -> str:
        listed = _call(watch, ListParameters, f"{node}/list_parameters", ListParameters.Request())
        names = sorted(listed.result.names)
        name = names[choice % len(names)]
        get = GetParameters.Request(names=[name])
        before = _call(watch, GetParameters, f"{node}/get_parameters", get).values
        parameter = Parameter(name=name, value=value)
        request = SetParameters.Request(parameters=[parameter])
        answer = _call(watch, SetParameters, f"{node}/set_parameters", request)
        result = answer.results[0]
        if node == "cell_node":
            _call(watch, Trigger, "cell/scatter", Trigger.Request(), 10.0)
        if result.successful and before:
            old = SetParameters.Request(parameters=[Parameter(name=name, value=before[0])])
            _call(watch, SetParameters, f"{node}/set_parameters", old)
        return f"{name}: {'taken' if result.successful else f'no: {result.reason}'}"

    return f"{node}: parameter {choice}, {shown(value)}", do


def _odd_parameters(chance: Chance, watch: Watch) -> tuple[str, Callable[[], str]]:
    """A parameter that no node has."""
    nodes = ("cell_node", "control_node", "recorder_node")
    node = nodes[int(chance.integers(3))]
    names = [name for name in NAMES if "\x00" not in name]
    name = names[int(chance.integers(len(names)))]
    value = _value(chance)

    def do() -> str:
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        answer = _call(watch, SetParameters, f"{node}/set_parameters", request)
        return "; ".join("taken" if r.successful else f"no: {r.reason}" for r in answer.results)

    return f"{node}: {shown(name)} = {shown(value)}", do


def _value(chance: Chance) -> ParameterValue:
    """Return a value of any type."""
    values = (
        ParameterValue(type=0),
        ParameterValue(type=1, bool_value=True),
        ParameterValue(type=2, integer_value=-3),
        ParameterValue(type=2, integer_value=2**63 - 1),
        ParameterValue(type=2, integer_value=0),
        ParameterValue(type=3, double_value=math.nan),
        ParameterValue(type=3, double_value=1e308),
        ParameterValue(type=4, string_value=""),
        ParameterValue(type=4, string_value="norial"),
        ParameterValue(type=4, string_value="../x"),
        ParameterValue(type=4, string_value="x" * 10_000),
        ParameterValue(type=5, byte_array_value=[b"\x00"]),
        ParameterValue(type=9, string_array_value=["a", ""]),
        ParameterValue(type=77),
    )
    return values[int(chance.integers(len(values)))]
