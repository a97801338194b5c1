"""The spec that all episodes of a dataset share, and the columns that follow from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from carp_ros.inference.layout import TOOL, Layout
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.robots import ROBOTS, Robot
from carp_ros.strict import NAME, Between, Name, Sized, read_strictly

_Words = Annotated[str, Sized(1, 200)]
_Pixels = Annotated[int, Between(2, 16384)]


@dataclass(frozen=True)
class DatasetSpec:
    """What all episodes of a dataset have in common.

    Attributes:
        rig: Name of the rig.
        robot: Name of its arm.
        joint_names: The arm's joints, in the order of `observation.joints`.
        cameras: Width and height of the images in [px], by camera.
        reference: The camera whose capture times are the frames' times.
        rate_hz: Frames per second.
        skew_s: The furthest that an image's capture may be from its frame's time.
        resized: Whether the images were resized after capture.
        state, action: The layouts of their numbers.
    """

    rig: _Words
    robot: _Words
    joint_names: Annotated[tuple[_Words, ...], Sized(1, 64)]
    cameras: Annotated[dict[Name, tuple[_Pixels, _Pixels]], Sized(1, 16)]
    reference: str
    rate_hz: Annotated[int, Between(1, 1000)]
    skew_s: Annotated[float, Between(0.0, 10.0)]
    resized: bool = False
    state: Layout = TOOL
    action: Layout = TOOL

    @classmethod
    def from_json(cls, content: dict[str, Any], where: str) -> DatasetSpec:
        """Read a spec from JSON, as `dataclasses.asdict` writes it.

        Raises:
            ValueError: If it is not valid; names are checked strictly, as they become columns and
                folders. The message begins with `where`.
        """
        spec = read_strictly(cls, content, where)
        if spec.reference not in spec.cameras:
            raise ValueError(
                f"{where}: reference is {spec.reference!r}; expected one of"
                f" {', '.join(spec.cameras)}"
            )
        if spec.action.has_wrench:
            raise ValueError(f"{where}: action has a wrench; expected one in the state only")
        return spec

    def difference(self, other: DatasetSpec) -> str:
        """Return the first field in which another spec differs, in words; empty if they agree."""
        for item in dataclasses.fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            if mine != theirs:
                return f"its {item.name} is {theirs!r}; the dataset's is {mine!r}"
        return ""

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """The features stored in tables: type, shape and names, by LeRobot's name.

        Names of stamps must not contain `observation` or `image`: LeRobot would take such a feature
        for a policy input or for an image.
        """
        numbers = {
            "observation.state": _feature("float32", self.state.names),
            "observation.joints": _feature("float32", self.joint_names),
            "action": _feature("float32", self.action.names),
            "stamp_ns": _feature("int64", ()),
            **{f"stamp_ns.{camera}": _feature("int64", ()) for camera in self.cameras},
        }
        frame = {"timestamp": _feature("float32", ()), "frame_index": _feature("int64", ())}
        place = ("episode_index", "index", "task_index")
        return {**numbers, **frame, **{name: _feature("int64", ()) for name in place}}


def video_key(camera: str) -> str:
    """Return LeRobot's name of a camera's images."""
    return f"observation.images.{camera}"


def robot_of(info: EpisodeInfo) -> Robot:
    """Return the arm that an episode was recorded with.

    Raises:
        ValueError: If the metadata lack it.
    """
    name = info.rig_file.get("robot")
    if not isinstance(name, str) or name not in ROBOTS:
        raise ValueError(f"robot of the recorded rig is {name!r}; expected {' or '.join(ROBOTS)}")
    return ROBOTS[name]


def cameras_of(info: EpisodeInfo) -> tuple[str, ...]:
    """Return the cameras of the rig that an episode was recorded with.

    Raises:
        ValueError: If the metadata lack them.
    """
    cameras = info.rig_file.get("cameras")
    if not isinstance(cameras, dict) or not cameras:
        raise ValueError(f"cameras of the recorded rig are {cameras!r}; expected named sections")
    for name in cameras:
        if expected := NAME.expectation(str(name)):
            raise ValueError(f"a camera of the recorded rig is {name!r}; expected {expected}")
    return tuple(cameras)


def _feature(dtype: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a feature with one number per name, or one unnamed number without names."""
    return {"dtype": dtype, "shape": [len(names) or 1], "names": list(names) or None}
