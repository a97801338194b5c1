"""A policy of your own in the simulated cell: anything that implements `carp_ros.Policy`.

This one moves the tool to a place and closes the gripper. To train, export and bundle a new kind of
policy, write three modules and add a line to each of the tables `training/families.py`,
`export/families.py` and `policies/load.py`; `regression` is the shortest example.

    python examples/own_policy.py
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

import carp_ros
from carp_ros.evaluation.policy_agent import PolicyAgent, PolicyTiming
from carp_ros.inference.layout import TOOL, vector_from_tcp_pose
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import ObservationSpec, PolicySpec
from carp_ros.policies.plan import PlanReader
from carp_ros.sim.cell import Cell
from carp_ros.sim.lockstep import run_episode
from carp_ros.sim.tasks import task_named
from carp_ros.types import Array, Chunk, Observation

_RANGE = TOOL.spanning((-1.0,) * 10, (1.0,) * 10)


class GoTo:
    """Moves the tool to a place on a straight line, keeping its orientation."""

    spec = PolicySpec("go_to", "own", ("cup",), {}, ObservationSpec(), _RANGE, _RANGE, 0.1, 16, 8)

    def __init__(self, goal_m: Array) -> None:
        self._goal_m = goal_m
        self._plans = PlanReader(self.spec.action, self.spec.step_s)

    def infer(
        self, observations: Sequence[Observation], deadline_ns: int | None = None
    ) -> carp_ros.Prediction:
        """Return a plan of 16 steps of at most 2 cm."""
        seen = observations[-1]
        way = self._goal_m - seen.tcp_pose.position
        step_m = way / max(16.0, float(np.linalg.norm(way)) / 0.02)
        places = [seen.tcp_pose.position + i * step_m for i in range(16)]
        poses = [carp_ros.Pose(place, seen.tcp_pose.quaternion) for place in places]
        actions = np.array([vector_from_tcp_pose(pose, 1.0) for pose in poses])
        chunk = self._plans.chunk(actions, seen.stamp_ns)
        return carp_ros.Prediction(seen.stamp_ns, actions, chunk, {"decode": 0.0})

    def reset(self, task: str, instruction: str = "") -> None:
        """Do nothing: there is no state to forget."""

    def encode_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Do nothing: images are not used."""

    def followed(self, stamp_ns: int, late_ns: int) -> None:
        """Do nothing: plans depend on observations only."""

    def executed(self, chunk: Chunk) -> None:
        """Do nothing: sent commands are not used."""

    def replay(self, inputs: Mapping[str, object]) -> Array:
        """Raise: there are no graphs."""
        raise NotImplementedError


def main() -> int:
    """Go to a place in the simulated cell and print how close the tool came."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rig = carp_ros.load_rig(carp_ros.rig_path("ur5e_sim"))
    cell = Cell(rig, task_named("cup"), visuals=False)
    cell.reset(0, "none")
    goal_m = cell.tcp_pose.position + np.array([0.05, 0.1, -0.05])

    def observe() -> Observation:
        return Observation(
            cell.time_ns, {}, {}, cell.tcp_pose, cell.gripper_closure, cell.joints.copy()
        )

    agent = PolicyAgent(GoTo(goal_m), rig.limits, observe, lambda: False, PolicyTiming())
    run_episode(cell, agent, 4.0)
    off_m = float(np.linalg.norm(cell.tcp_pose.position - goal_m))
    print(f"the tool is {off_m * 1e3:.1f} mm from its goal; refused: {len(agent.refusals)} plans")
    return 0 if off_m < 0.01 else 1


if __name__ == "__main__":
    raise SystemExit(main())
