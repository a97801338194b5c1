"""What a robot or an evaluation needs to know about a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from carp_ros.inference.layout import Line, VectorLayout
from carp_ros.strict import Between, Name

MOST_STEPS = 128
"""Of a chunk: as many as the servo accepts at once (`control/command.py`)."""

SKEW_S = 0.05
"""Default of the largest time between observation and image: more than one lost frame at 30 Hz."""

_LISTED = 20  # tasks in an error

_Pixels = Annotated[int, Between(1, 4096)]


@dataclass(frozen=True)
class ImageSize:
    """Size of an image, in [px]."""

    width_px: _Pixels
    height_px: _Pixels


@dataclass(frozen=True)
class CameraInput:
    """A policy's input from one camera.

    Attributes:
        width_px, height_px: Of the network's image.
        dataset: Size of the dataset's images, if `carp convert` resized them: live images are first
            resized to it, as in training. None if it did not.
    """

    width_px: _Pixels
    height_px: _Pixels
    dataset: ImageSize | None = None

    @property
    def size(self) -> ImageSize:
        """Size of the network's image."""
        return ImageSize(self.width_px, self.height_px)


@dataclass(frozen=True)
class ObservationSpec:
    """How observations are made, in the dataset and live.

    Attributes:
        reference: The camera whose capture times define the observations' times; None without
            cameras.
        skew_s: Largest difference between an observation's time and an image's capture.
        history: Number of observations that a plan is made from: the newest and earlier ones.
        history_step_s: Time between two of them.
    """

    reference: Name | None = None
    skew_s: Annotated[float, Between(0.001, 10.0)] = SKEW_S
    history: Annotated[int, Between(1, 64)] = 1
    history_step_s: Annotated[float, Between(0.01, 10.0)] = 0.1


@dataclass(frozen=True)
class PolicySpec:
    """What callers of a policy need to know.

    Attributes:
        name: Of the bundle.
        kind: Of policy.
        tasks: Instruction or name of each of its tasks.
        cameras: Input of each camera.
        observation: How its observations are made.
        state, action: Meaning of the input and output numbers.
        step_s: Step i of a chunk is due i * step_s after the newest observation's stamp.
        horizon: Steps of a chunk, the action horizon.
        execution_horizon: Steps executed before the next chunk.
        takes_instruction: Whether it accepts instructions other than `tasks`.
        wants_executed: Whether it needs the commands actually sent, see `Policy.executed`.
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
    execution_horizon: int
    takes_instruction: bool = False
    wants_executed: bool = False

    @property
    def replan_s(self) -> float:
        """Time between two plans."""
        return self.execution_horizon * self.step_s

    def task_named(self, task: str, instruction: str = "") -> str:
        """Return the task of that name, or the only task if the name is empty.

        A policy that takes instructions can be asked anything: then this is the instruction.

        Args:
            task: Its name.
            instruction: The task in words, by which a dataset of another program names it.

        Raises:
            ValueError: If the policy was not trained for it, or the name is empty and there are
                several.
        """
        if self.takes_instruction and (instruction or task):
            return instruction or task
        known = ", ".join(self.tasks[:_LISTED]) + (" ..." if len(self.tasks) > _LISTED else "")
        if not task and len(self.tasks) != 1:
            raise ValueError(f"no task is named; bundle {self.name} can do {known}")
        if task not in self.tasks and instruction in self.tasks:
            return instruction
        if task and task not in self.tasks:
            raise ValueError(f"task is {task!r}; bundle {self.name} was trained for {known}")
        return task or self.tasks[0]

    def task_number(self, task: str) -> int:
        """Return a task's index in the policy's input; see `task_named`."""
        return self.tasks.index(self.task_named(task))
