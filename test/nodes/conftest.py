"""A workstation whose every part is real but the hands, the cameras and the steel.

The control node and its servo process run as they would, with the real ur-rtde or franky-control,
against the emulated controller with the cell's physics behind it. The tests are the operator, the
policy and the cameras, and see where the simulated arm really is.
"""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Bool, Float64, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from carp_ros.reports.control import ControlStatus, Fault, Reason
from carp_ros.reports.json_report import report_from_json
from carp_ros.rig import Rig, load_rig
from carp_ros.ros.executor import CachedWaitSetExecutor
from carp_ros.ros.messages import chunk_to_msgs, header, twist_to_msg
from carp_ros.ros.qos import COMMAND, LATCHED, SENSOR
from carp_ros.servo.devices import make_kinematics
from carp_ros.sim.controllers import controller_command, snapshot_name
from carp_ros.sim.faults import FaultClient
from carp_ros.sim.live_cell import LiveCell
from carp_ros.sim.tasks import task_named
from carp_ros.types import Chunk, Twist

from ..loopback_rig import write_rig
from ..patience import await_true

REPOSITORY = Path(__file__).parents[2]
FAULT_PORT = 30998
STILL = Twist(np.zeros(3), np.zeros(3))
_QUICKER = {"ur": ("--unlock-delay", "0.5")}


class Trace:
    """Where the simulated tool was, by the physics' own clock: a thread adds, others look."""

    def __init__(self, samples: list[tuple[float, np.ndarray]] | None = None) -> None:
        self.samples = samples if samples is not None else []

    @property
    def times_s(self) -> np.ndarray:
        return np.array([time_s for time_s, _ in self.samples])

    @property
    def positions(self) -> np.ndarray:
        return np.array([position for _, position in self.samples])

    def since(self, mark: int) -> "Trace":
        return Trace(self.samples[mark:])

    def speeds(self) -> np.ndarray:
        frozen = Trace(list(self.samples))
        step_s = np.diff(frozen.times_s)
        moved = np.linalg.norm(np.diff(frozen.positions, axis=0), axis=1)
        return moved / np.maximum(step_s, 1e-6)

    def speed(self, samples: int = 6) -> float:
        """The speed over the last samples, 4 ms each, in [m/s]."""
        recent = self.since(-samples)
        return float(np.linalg.norm(recent.positions[-1] - recent.positions[0])) / max(
            recent.times_s[-1] - recent.times_s[0], 1e-6
        )

    def travelled(self) -> float:
        """The distance between first and last, in [m]."""
        return float(np.linalg.norm(self.positions[-1] - self.positions[0]))

    def largest_excursion(self) -> float:
        """How far it ever was from where it began, in [m]."""
        positions = self.positions
        return float(np.linalg.norm(positions - positions[0], axis=1).max())


class Hands(Node):
    """The operator's hand, a policy and two cameras, as the control node sees them."""

    def __init__(self, rig: Rig) -> None:
        super().__init__("hands")
        self.rig = rig
        self.frame = rig.robot.base_frame
        self.twist, self.deadman, self.plugged = STILL, False, False
        self.make_chunk: Callable[[int], Chunk] | None = None
        self.cameras_alive = True
        self.status: ControlStatus | None = None
        self.arm_diagnostics = ""
        self._twists = self.create_publisher(TwistStamped, "teleop/twist", COMMAND)
        self._deadmen = self.create_publisher(Bool, "teleop/deadman", COMMAND)
        self._grippers = self.create_publisher(Float64, "teleop/gripper", COMMAND)
        self._chunks = self.create_publisher(MultiDOFJointTrajectory, "chunk", COMMAND)
        self._gripper_chunks = self.create_publisher(JointTrajectory, "gripper_chunk", COMMAND)
        self._infos = [
            self.create_publisher(CameraInfo, f"{name}/camera_info", SENSOR) for name in rig.cameras
        ]
        self.create_subscription(String, "control/status", self._on_status, LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_timer(0.01, self._on_hand)
        self.create_timer(0.2, self._on_policy)
        self.create_timer(1 / 30, self._on_camera)

    def send_chunk(self, chunk: Chunk, frame: str | None = None) -> None:
        poses, gripper = chunk_to_msgs(chunk, frame or self.frame)
        self._gripper_chunks.publish(gripper)
        self._chunks.publish(poses)

    def send_chunk_msgs(self, poses: MultiDOFJointTrajectory, gripper: JointTrajectory) -> None:
        self._gripper_chunks.publish(gripper)
        self._chunks.publish(poses)

    def now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_hand(self) -> None:
        if self.plugged:
            self._twists.publish(twist_to_msg(self.twist, self.now_ns(), self.frame))
            self._deadmen.publish(Bool(data=self.deadman))

    def _on_policy(self) -> None:
        if self.make_chunk is not None:
            self.send_chunk(self.make_chunk(self.now_ns()))

    def _on_camera(self) -> None:
        if self.cameras_alive:
            for publisher in self._infos:
                publisher.publish(CameraInfo(header=header(self.now_ns(), "optical")))

    def _on_status(self, msg: String) -> None:
        self.status = report_from_json(ControlStatus, msg.data, "control/status")

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "control: arm":
                self.arm_diagnostics = status.message


class Workstation:
    """The processes, the hands, and the truth about the arm."""

    def __init__(self, rig_path: Path) -> None:
        self.rig_path = rig_path
        self.rig = load_rig(rig_path)
        self.kinematics = make_kinematics(self.rig)
        self.home = np.array(self.rig.home_joints_rad)
        self.trace = Trace()
        self._stopping = threading.Event()

    def start(self) -> None:
        command = [*controller_command(self.rig), *_QUICKER.get(self.rig.arm.driver, ())]
        command += ["--fault-port", str(FAULT_PORT), "--snapshot", snapshot_name(self.rig)]
        self.controller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.controller.stdout.readline() == "READY\n"
        self.faults = FaultClient(self.rig.arm.host, FAULT_PORT)
        self.live = LiveCell(self.rig, task_named("cup"), visuals=False)
        self.hands = Hands(self.rig)
        self.executor = CachedWaitSetExecutor()
        self.executor.add_node(self.hands)
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._spin, self._observe)
        ]
        for thread in self._threads:
            thread.start()
        self.start_control()

    def start_control(self) -> None:
        """Start the control node and make it active."""
        self.hands.status = None
        command = [sys.executable, "-m", "carp_ros.nodes.control_node"]
        command += ["--ros-args", "-p", f"rig:={self.rig_path}"]
        self.control = subprocess.Popen(command)
        await_true(lambda: self.transition(Transition.TRANSITION_CONFIGURE), 20.0, "configured")
        await_true(lambda: self.transition(Transition.TRANSITION_ACTIVATE), 20.0, "active")
        self.await_servo()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.control.terminate()
            self.control.wait(10.0)
        self._stopping.set()
        self.executor.shutdown()
        for thread in self._threads:
            thread.join(2.0)
        self.hands.destroy_node()
        self.controller.terminate()
        self.controller.wait(5.0)

    def transition(self, number: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=number))
        answer = self.call(ChangeState, "control_node/change_state", request, tries=5)
        return answer.success

    def call(self, kind, name: str, request, tries: int = 1):
        for _ in range(tries):  # a node that was killed goes on being discovered for a while
            client = self.hands.create_client(kind, name)
            assert client.wait_for_service(10.0), f"no service {name}"
            future = client.call_async(request)
            deadline_s = time.monotonic() + (10.0 if tries == 1 else 4.0)
            while not future.done() and time.monotonic() < deadline_s:
                time.sleep(0.01)
            self.hands.destroy_client(client)
            if future.done():
                return future.result()
        raise AssertionError(f"no answer of {name}")

    def trigger(self, name: str):
        return self.call(Trigger, f"control/{name}", Trigger.Request())

    def enable(self):
        return self.call(SetBool, "control/enable", SetBool.Request(data=True))

    def servo_pid(self) -> int:
        """The servo process: the control node's child."""
        text = Path(f"/proc/{self.control.pid}/task/{self.control.pid}/children").read_text()
        return int(text.split()[0])

    def await_servo(self) -> None:
        await_true(
            lambda: self.hands.status and self.hands.status.fault is not Fault.NO_SERVO,
            15.0,
            "a servo",
        )

    def await_standstill(self, within_s: float) -> None:
        # for a tenth of a second: the physics itself stands still for a moment on a busy machine
        await_true(lambda: self.trace.speed(26) < 1e-3, within_s, "the arm at standstill")

    def reset(self) -> None:
        """Undo every fault and go home, as an operator would."""
        hands = self.hands
        hands.make_chunk, hands.plugged, hands.cameras_alive = None, False, True
        hands.twist, hands.deadman = STILL, False
        self.faults.restore()
        self.await_servo()
        time.sleep(0.6)  # the controller refuses to unlock a protective stop earlier
        self.reset_fault()
        # refused while the reset is under way
        await_true(lambda: self.trigger("home").success, 3.0, "the way home")
        await_true(lambda: hands.status.reason is Reason.HOME_REACHED, 15.0, "home")
        self.await_standstill(2.0)

    def reset_fault(self) -> None:
        """Reset the fault; again if a busy machine was too late for the robot meanwhile."""
        for _ in range(4):
            answer = self.trigger("reset_fault")
            if answer.success:
                break
        assert answer.success, answer.message
        await_true(lambda: self.hands.status.fault is Fault.NONE, 1.0, "no fault in the status")

    def teleoperate(self, linear=(0.0, 0.15, 0.0)) -> None:
        """Let the hand move the arm until it really moves at that speed."""
        self.begin(lambda: self.trigger("select_teleop"))
        self.push(linear)

    def push(self, linear=(0.0, 0.15, 0.0)) -> None:
        self.hands.twist = Twist(np.array(linear), np.zeros(3))
        speed = float(np.linalg.norm(linear))
        await_true(lambda: self.trace.speed() > 0.9 * speed, 3.0, f"{speed} m/s")

    def begin(self, select) -> None:
        hands = self.hands
        hands.plugged, hands.deadman, hands.twist = True, True, STILL
        time.sleep(0.1)
        assert select().success
        answer = self.enable()
        assert answer.success, answer.message

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def _observe(self) -> None:
        seen_ns = -1
        while not self._stopping.wait(0.004):
            cell = self.live.update()
            if cell.time_ns > seen_ns:
                seen_ns = cell.time_ns
                self.trace.samples.append((seen_ns * 1e-9, cell.tcp_pose.position))


@pytest.fixture(scope="module")
def running_workstation(tmp_path_factory) -> Iterator[Workstation]:
    with _running(write_rig(tmp_path_factory.mktemp("rig"))) as station:
        yield station


@pytest.fixture(scope="module")
def running_fr3_workstation(tmp_path_factory) -> Iterator[Workstation]:
    with _running(write_rig(tmp_path_factory.mktemp("rig"), "fr3_sim")) as station:
        yield station


@contextlib.contextmanager
def _running(rig_path: Path) -> Iterator[Workstation]:
    import rclpy

    rclpy.init()
    station = Workstation(rig_path)
    try:
        station.start()
        yield station
    finally:
        station.stop()
        rclpy.shutdown()


@pytest.fixture
def workstation(running_workstation: Workstation) -> Workstation:
    """A workstation without a fault, the arm at home, nothing enabled."""
    running_workstation.reset()
    return running_workstation


@pytest.fixture
def fr3_workstation(running_fr3_workstation: Workstation) -> Workstation:
    """A workstation with an FR3, as `workstation`."""
    running_fr3_workstation.reset()
    return running_fr3_workstation
