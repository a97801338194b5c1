"""An episode: the recorded topics and the metadata.

An episode is a rosbag2 folder (MCAP). Its metadata are custom data in the folder's `metadata.yaml`,
where `ros2 bag info` shows them. While it is being recorded, the folder holds `unfinished.yaml`
instead.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from carp_ros.refusal import refusing
from carp_ros.strict import Matching, read_strictly

TASK_NAME = Matching(r"[\w-]{1,64}", "1 to 64 letters, digits, _ and -: it names folders")
"""What the short name of a task may be."""

Verdict = Literal["green", "amber", "red", "unknown"]
"""An episode's recording quality: good, usable with care, unusable, not judged."""


def task_name(text: str) -> str:
    """Return a short name for a task that is given in words: `Open the drawer.`, `open_the_drawer`.

    Raises:
        ValueError: If there is no letter and no digit in them.
    """
    if not TASK_NAME.expectation(text):
        return text
    name = re.sub(r"\W+", "_", text.lower()).strip("_")[:64].rstrip("_")
    if not name:
        raise ValueError(f"task is {text!r}; expected what is done, in words")
    return name


@dataclass(frozen=True)
class Topic:
    """One recorded topic: `name` as in the ROS graph, with its leading slash, and `type`."""

    name: str
    type: str


@dataclass(frozen=True)
class EpisodeInfo:
    """An episode's metadata.

    Attributes:
        rig: Name of the rig.
        task: Short name of the task, such as cup.
        instruction: The task in words, for language-conditioned policies.
        operator: Who demonstrated: a person's name, demonstrator, or a policy's bundle.
        seed: The simulated cell's seed; None on hardware.
        software: Version of carp_ros.
        started_ns: When recording began (ROS time).
        success: Whether the task succeeded; None without a label.
        verdict: The recording quality.
        reasons: The faults behind the verdict.
        rig_file: The rig's file at the time, parsed from YAML, and under `calibration_files` what
            was calibrated of it.
    """

    rig: str
    task: str
    instruction: str
    operator: str
    seed: int | None
    software: str
    started_ns: int
    success: bool | None = None
    verdict: Verdict = "unknown"
    reasons: tuple[str, ...] = ()
    rig_file: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_texts(cls, texts: Mapping[str, Any], where: str) -> EpisodeInfo:
        """Return the info that `texts` returned.

        Raises:
            ValueError: If one is missing or invalid; the message begins with `where`.
        """
        where = f"{where} lacks valid metadata of the episode"
        with refusing(ValueError, where):
            values: dict[str, Any] = {}
            for item in dataclasses.fields(cls):
                if item.name not in texts:
                    raise ValueError(f"{item.name} is missing; expected a bag that carp recorded")
                text = texts[item.name]
                values[item.name] = text if item.name in _PLAIN else json.loads(text)
            return read_strictly(cls, values, where)

    @property
    def texts(self) -> dict[str, str]:
        """All values as strings, as custom data must be: text as it is, the rest as JSON."""
        return {
            name: value if name in _PLAIN else json.dumps(value)
            for name, value in dataclasses.asdict(self).items()
        }


_PLAIN = ("rig", "task", "instruction", "operator", "software", "verdict")


def topics(
    cameras: tuple[str, ...], *, compressed: bool, depths: tuple[str, ...] = ()
) -> tuple[Topic, ...]:
    """Return the topics that are recorded for a rig with these cameras.

    Args:
        cameras: Their names.
        compressed: Whether images are recorded as JPEG, and depth as PNG.
        depths: Names of the cameras with depth.
    """
    depth = (
        ("depth/image_raw/compressedDepth", "sensor_msgs/msg/CompressedImage")
        if compressed
        else ("depth/image_raw", "sensor_msgs/msg/Image")
    )
    image = (
        ("image_raw/compressed", "sensor_msgs/msg/CompressedImage")
        if compressed
        else ("image_raw", "sensor_msgs/msg/Image")
    )
    per_camera = (image, ("camera_info", "sensor_msgs/msg/CameraInfo"))
    return (
        *(Topic(f"/{camera}/{name}", kind) for camera in cameras for name, kind in per_camera),
        *(Topic(f"/{camera}/{depth[0]}", depth[1]) for camera in depths),
        Topic("/joint_states", "sensor_msgs/msg/JointState"),
        Topic("/tool_pose", "geometry_msgs/msg/PoseStamped"),
        Topic("/target_pose", "geometry_msgs/msg/PoseStamped"),
        Topic("/wrench", "geometry_msgs/msg/WrenchStamped"),
        Topic("/gripper_state", "std_msgs/msg/Float64"),
        Topic("/gripper_command", "std_msgs/msg/Float64"),
        Topic("/teleop/twist", "geometry_msgs/msg/TwistStamped"),
        Topic("/teleop/deadman", "std_msgs/msg/Bool"),
        Topic("/teleop/gripper", "std_msgs/msg/Float64"),
        Topic("/chunk", "trajectory_msgs/msg/MultiDOFJointTrajectory"),
        Topic("/gripper_chunk", "trajectory_msgs/msg/JointTrajectory"),
        Topic("/control/status", "std_msgs/msg/String"),
        Topic("/episode/event", "std_msgs/msg/String"),
        Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray"),
    )
