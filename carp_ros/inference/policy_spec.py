"""What a robot or an evaluator must know of a policy before asking it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from carp_ros.inference.layout import Line, VectorLayout
from carp_ros.strict import Between, Name

MOST_STEPS = 128
"""Of a chunk: as many as the servo takes at once (`control/command.py`)."""

SKEW_S = 0.05
"""Default of how far an image may lie from its observation's time: more than one lost at 30 Hz."""

_Pixels = Annotated[int, Between(1, 4096)]


@dataclass(frozen=True)
class ImageSize:
    """Of an image, in [px]."""

    width_px: _Pixels
    height_px: _Pixels


@dataclass(frozen=True)
class CameraInput:
    """What a policy takes of one camera.

    Attributes:
        width_px, height_px: Of the image that the network is given.
        dataset: Size of the dataset's images, if `carp convert` resized them: a live image is
            resized to it first, so that the network sees what it was trained on. None if not.
    """

    width_px: _Pixels
    height_px: _Pixels
    dataset: ImageSize | None = None

    @property
    def size(self) -> ImageSize:
        """Of the image that the network is given."""
        return ImageSize(self.width_px, self.height_px)


@dataclass(frozen=True)
class ObservationSpec:
    """Which moments a policy is shown; as its dataset was cut.

    Attributes:
        reference: The camera at whose captures observations are made; empty without cameras.
        skew_s: How far from its observation's time an image may have been captured.
        history: How many observations a plan is made of: the newest, and those before it.
        history_step_s: From one of them to the next.
    """

    reference: Name | None = None
    skew_s: Annotated[float, Between(0.001, 10.0)] = SKEW_S
    history: Annotated[int, Between(1, 64)] = 1
    history_step_s: Annotated[float, Between(0.01, 10.0)] = 0.1


@dataclass(frozen=True)
class PolicySpec:
    """All that whoever asks a policy must know of it.

    Attributes:
        name: Of the bundle.
        kind: Of policy.
        tasks: Instruction or name of each task that it can do.
        cameras: What it takes of each camera.
        observation: Which moments it is shown.
        state, action: What the numbers mean that it takes and gives.
        step_s: Step i of a chunk is due i * step_s after the newest observation's stamp.
        horizon: Steps of a chunk.
        followed: The execution horizon: so many steps are followed before the next chunk.
        takes_instruction: Whether it understands instructions beyond `tasks`.
        wants_executed: Whether it must be told what was really sent, see `Policy.executed`.
    """

    name: str
    kind: str
    tasks: tuple[Line, ...]
    cameras: Mapping[str, CameraInput]
    observation: ObservationSpec
    state: VectorLayout
    action: VectorLayout
    step_s: float
    horizon: int
    followed: int
    takes_instruction: bool = False
    wants_executed: bool = False

    @property
    def replan_s(self) -> float:
        """From one plan to the next."""
        return self.followed * self.step_s

    def task_named(self, task: str) -> str:
        """Return the task of that name, or the only one there is if the name is empty.

        Raises:
            ValueError: If the policy was not trained for it, or there are several and none named.
        """
        known = ", ".join(self.tasks)
        if not task and len(self.tasks) != 1:
            raise ValueError(f"no task is named; bundle {self.name} can do {known}")
        if task and task not in self.tasks:
            raise ValueError(f"task is {task!r}; bundle {self.name} was trained for {known}")
        return task or self.tasks[0]

    def task_number(self, task: str) -> int:
        """Return the number by which the policy knows a task; see `task_named`."""
        return self.tasks.index(self.task_named(task))
