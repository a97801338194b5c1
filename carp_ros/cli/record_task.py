"""What is demonstrated: a task of the simulated cell; on a real rig, whatever a person says."""

from __future__ import annotations

from carp_ros.recording.episode import task_name
from carp_ros.rig import Rig


def task_of(task: str, instruction: str, rig: Rig) -> tuple[str, str]:
    """Return the short name of a task and the task in words.

    Args:
        task: As it was asked for; empty for the one of a simulated rig's file.
        instruction: In words; empty for those of the task.
        rig: On which it is done.

    Raises:
        ValueError: If there is no such task in the cell, or none is named on a real rig.
    """
    if rig.cell is not None:
        from carp_ros.sim.tasks import task_named  # only a simulated rig has MuJoCo

        name = task or rig.cell.task
        return name, instruction or task_named(name).instruction
    if not task:
        raise ValueError(
            f"--task is empty, and {rig.name} is no simulated rig; expected what is demonstrated,"
            ' in words: --task "put the mug on the shelf"'
        )
    return task_name(task), instruction or task
