"""The value types exchanged between the parts of the package.

All are frozen and use SI units, xyzw quaternions, and times in integer nanoseconds. The clock
behind a `_ns` is the caller's choice and must be the same for all values given to one object: the
nodes use ROS time, the servo process `time.monotonic_ns`, the lockstep cell its simulated time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from carp_ros.errors import ChunkError, TwistError

Array = npt.NDArray[np.float64]

# Far beyond anything an arm, policy or operator asks for. Within these bounds no arithmetic on a
# chunk or twist can overflow to infinity or NaN.
MOST_POSITION_M = 10.0
MOST_LINEAR_M_S = 10.0
MOST_ANGULAR_RAD_S = 20.0
MOST_CHUNK_NS = 60_000_000_000  # from a chunk's stamp to any of its steps, before or after
_KINDS_OF_CHUNK = (
    ("times_ns", np.dtype(np.int64)),
    ("positions", np.dtype(np.float64)),
    ("quaternions", np.dtype(np.float64)),
    ("gripper", np.dtype(np.float64)),
)
MOST_FORCE_N = 5000.0  # beyond what any arm here withstands
MOST_TORQUE_NM = 2000.0
MOST_TIME_NS = 2**61  # any ROS stamp, with room for a conversion to another clock


@dataclass(frozen=True, slots=True)
class Pose:
    """A pose: `position` of shape (3,) in [m], `quaternion` xyzw of shape (4,)."""

    position: Array
    quaternion: Array


@dataclass(frozen=True, slots=True)
class Twist:
    """A velocity of the tool in the base frame: `linear` (3,) in [m/s], `angular` (3,) in [rad/s].

    Raises:
        TwistError: If a shape is wrong, or a number is not finite or far too large.
    """

    linear: Array
    angular: Array

    def __post_init__(self) -> None:
        if self.linear.shape != (3,) or self.angular.shape != (3,):
            raise TwistError(
                f"twist has shapes {self.linear.shape}, {self.angular.shape}; expected (3,), (3,)"
            )
        if not (np.isfinite(self.linear).all() and np.isfinite(self.angular).all()):
            raise TwistError(
                f"twist is {self.linear.tolist()} m/s, {self.angular.tolist()} rad/s; expected"
                " finite numbers: check the pointer's mapping"
            )
        linear, angular = float(np.abs(self.linear).max()), float(np.abs(self.angular).max())
        if linear > MOST_LINEAR_M_S or angular > MOST_ANGULAR_RAD_S:
            raise TwistError(
                f"twist has parts of {linear:.4g} m/s and {angular:.4g} rad/s; expected at most"
                f" {MOST_LINEAR_M_S:g} m/s and {MOST_ANGULAR_RAD_S:g} rad/s: check the pointer's"
                " mapping and its units"
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A plan: N tool poses in the base frame and gripper closures, each due at its own time.

    Attributes:
        stamp_ns: Capture time of the observation behind this plan.
        times_ns: When each step is due, of shape (N,), strictly increasing, int64.
        positions: Of shape (N, 3) in [m].
        quaternions: Unit, xyzw, of shape (N, 4).
        gripper: 0 open to 1 closed, of shape (N,).

    Raises:
        ChunkError: If a dtype or shape is wrong, a number is not finite, a position or time is far
            out of range, times do not increase, a quaternion is not of unit length or a gripper
            target is outside 0 to 1.
    """

    stamp_ns: int
    times_ns: npt.NDArray[np.int64]
    positions: Array
    quaternions: Array
    gripper: Array

    def __post_init__(self) -> None:
        self._check_kinds()
        n = len(self.times_ns)
        shapes = (self.positions.shape, self.quaternions.shape, self.gripper.shape)
        if n == 0 or self.times_ns.shape != (n,) or shapes != ((n, 3), (n, 4), (n,)):
            raise ChunkError(
                f"chunk of {n} times has times {self.times_ns.shape}, positions {shapes[0]},"
                f" quaternions {shapes[1]}, gripper {shapes[2]}; expected (N,), (N, 3), (N, 4),"
                " (N,) with N of at least 1"
            )
        for name in ("positions", "quaternions", "gripper"):
            if not np.isfinite(getattr(self, name)).all():
                step = int(np.argwhere(~np.isfinite(getattr(self, name)))[0, 0])
                raise ChunkError(f"chunk {name}[{step}] is not finite; expected finite numbers")
        farthest_m = float(np.abs(self.positions).max())
        if farthest_m > MOST_POSITION_M:
            step = int(np.argwhere(np.abs(self.positions) == farthest_m)[0, 0])
            raise ChunkError(
                f"chunk positions[{step}] is {self.positions[step].tolist()} m; expected at most"
                f" {MOST_POSITION_M:g} m from the base along each axis"
            )
        self._check_times()
        norms = np.linalg.norm(self.quaternions, axis=1)
        if (np.abs(norms - 1.0) > 1e-3).any():
            worst = int(np.argmax(np.abs(norms - 1.0)))
            raise ChunkError(
                f"chunk quaternions[{worst}] has length {norms[worst]:.4f}; expected 1 within 0.001"
            )
        if (self.gripper < 0.0).any() or (self.gripper > 1.0).any():
            raise ChunkError(
                f"chunk gripper spans {self.gripper.min():.3f} to {self.gripper.max():.3f};"
                " expected 0 (open) to 1 (closed)"
            )

    def _check_kinds(self) -> None:
        """Refuse other dtypes, whose arithmetic differs: unsigned times, say, never decrease."""
        if isinstance(self.stamp_ns, bool) or not isinstance(self.stamp_ns, (int, np.integer)):
            raise ChunkError(f"chunk has the stamp {self.stamp_ns!r}; expected whole nanoseconds")
        for name, kind in _KINDS_OF_CHUNK:
            value = getattr(self, name)
            if (
                type(value) is not np.ndarray
                or not value.ndim
                or value.dtype.newbyteorder("=") != kind
            ):
                found = f"{type(value).__name__} of {getattr(value, 'dtype', 'no dtype')}"
                raise ChunkError(f"chunk {name} is {found}; expected an array of {kind}")

    def _check_times(self) -> None:
        """Refuse times that do not increase, or are so large that differences could overflow."""
        first_ns, last_ns = int(self.times_ns.min()), int(self.times_ns.max())
        if max(abs(self.stamp_ns), abs(first_ns), abs(last_ns)) > MOST_TIME_NS:
            raise ChunkError(
                f"chunk has stamp {self.stamp_ns} ns and times {first_ns} to {last_ns} ns; expected"
                f" at most {MOST_TIME_NS} ns"
            )
        if (np.diff(self.times_ns) <= 0).any():
            raise ChunkError(
                "chunk times do not rise; expected each step later than the one before"
            )
        before_ns, after_ns = self.stamp_ns - first_ns, last_ns - self.stamp_ns
        if max(before_ns, after_ns) > MOST_CHUNK_NS:
            raise ChunkError(
                f"chunk's steps are due from {-before_ns * 1e-9:.1f} to {after_ns * 1e-9:.1f} s"
                f" after its stamp; expected within {MOST_CHUNK_NS * 1e-9:.0f} s of it"
            )


class SafetyState(IntEnum):
    """State of an arm's own safety controller; each driver maps its codes to these.

    The numbers are used in shared memory and have no other meaning.
    """

    UNKNOWN = 0
    """A code that the driver does not know; counts as a stop."""
    NORMAL = 1
    REDUCED = 2
    """The safety controller's reduced limits are in force; motion is allowed."""
    PROTECTIVE_STOP = 3
    """The controller stopped the arm because of a collision or an impossible command."""
    SAFEGUARD_STOP = 4
    """A fence, a light curtain or an enabling switch stopped the arm."""
    EMERGENCY_STOP = 5
    RECOVERY = 6
    """A person is moving the arm back into its limits by hand."""
    FAULT = 7
    """The safety controller itself failed, or a safety limit was violated."""

    @property
    def may_move(self) -> bool:
        """Whether the arm accepts motion in this state."""
        return self in (SafetyState.NORMAL, SafetyState.REDUCED)


@dataclass(frozen=True, slots=True)
class ArmState:
    """One reading of the arm.

    Attributes:
        robot_time_s: The controller's own clock in [s]; it stops when the link is dead.
        joints: Measured joint positions of shape (J,) in [rad].
        velocities: Measured joint velocities of shape (J,) in [rad/s].
        safety: State of the arm's safety controller.
        ready: Whether the arm now executes streamed joint targets.
        speed_scaling: The fraction of commanded speed that the arm executes, 0 to 1.
        explanation: If not ready: why, and the operator's remedy, in the manufacturer's terms;
            empty otherwise.
        wrench: What pushes the tool from outside, its weight excluded: force [N] and torque [Nm]
            about the flange's origin, both in the axes of the base frame, of shape (6,); None if
            the arm does not measure it.
    """

    robot_time_s: float
    joints: Array
    velocities: Array
    safety: SafetyState
    ready: bool
    speed_scaling: float
    explanation: str = ""
    wrench: Array | None = None


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A camera's projection, as in ROS's camera_info.

    Attributes:
        width_px, height_px: Image size.
        matrix: K of shape (3, 3) in [px]; pixel centres have integer coordinates.
        frame: The optical frame: x right, y down, z forward.
        distortion: k1, k2, p1, p2, k3 of the model `plumb_bob`.
    """

    width_px: int
    height_px: int
    matrix: Array
    frame: str
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class GripperState:
    """One reading of the gripper: `closure` 0 open to 1 closed, `holding` if it holds an object."""

    closure: float
    holding: bool


Wish = Literal["start", "stop", "toggle", "keep", "discard", "success", "failure"]
"""What an operator may ask about the episode. `toggle` starts or stops, depending on the recorder's
state, which a button does not know."""


class PointerFault(Enum):
    """Why a pointer moves nothing although it is connected."""

    OFF_CENTRE = "off_centre"
    BUTTON_HELD = "button_held"
    OUT_OF_RANGE = "out_of_range"
    SILENT = "silent"
    REPORTS_LOST = "reports_lost"


@dataclass(frozen=True, slots=True)
class PointerRefusal:
    """Why a pointer moves nothing: a code for programs, and a text with the remedy for people."""

    code: PointerFault
    text: str


DEADMAN, GRIPPER = 0, 1
"""Indices of the buttons in `PointerState.buttons`."""


@dataclass(frozen=True, slots=True)
class PointerState:
    """One reading of a six-axis pointer such as a SpaceMouse.

    Attributes:
        deflections: x, y, z, roll, pitch, yaw, each -1 to 1, in ROS axes (x forward, y left, z up).
        buttons: Whether the dead-man and the gripper button are pressed.
        connected: False once the device is unplugged; deflections are then zero.
        heard: Whether the device has reported anything since it was opened.
        wishes: The wishes whose buttons are pressed.
        refusal: Why deflections are zero and buttons released whatever the device reports.
    """

    deflections: Array
    buttons: tuple[bool, ...]
    connected: bool
    heard: bool = True
    wishes: frozenset[Wish] = frozenset()
    refusal: PointerRefusal | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A policy's input at one point in time.

    Attributes:
        stamp_ns: Capture time of the reference camera's image.
        images: By camera, RGB of shape (H, W, 3), uint8.
        image_stamps_ns: Capture time by camera, within the skew limit of `stamp_ns`.
        tcp_pose: `base_from_tcp`, interpolated to `stamp_ns`.
        gripper: Measured closure at `stamp_ns`, 0 open to 1 closed.
        joints: Measured, interpolated to `stamp_ns`, of shape (J,) in [rad].
        numbers: State vector of a custom layout, for policies that use one; else None.
        wrench: Measured force [N] and torque [Nm] on the tool, about the TCP and in its axes,
            interpolated to `stamp_ns`, of shape (6,), for policies that use it; else None.
    """

    stamp_ns: int
    images: dict[str, npt.NDArray[np.uint8]]
    image_stamps_ns: dict[str, int]
    tcp_pose: Pose
    gripper: float
    joints: Array
    numbers: Array | None = None
    wrench: Array | None = None

    @classmethod
    def of_numbers(
        cls, stamp_ns: int, numbers: Array, images: dict[str, npt.NDArray[np.uint8]] | None = None
    ) -> Observation:
        """Return an observation for a policy with a custom state layout.

        Args:
            stamp_ns: Time of the observation, including its images.
            numbers: State vector of shape (S,), in the layout's order.
            images: By camera, RGB of shape (H, W, 3), uint8.
        """
        images = images or {}
        nowhere = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
        stamps = dict.fromkeys(images, stamp_ns)
        return cls(stamp_ns, images, stamps, nowhere, 0.0, np.zeros(0), numbers)
