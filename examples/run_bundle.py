"""Runs one trial of a bundle in the simulated cell, from Python, without ROS, in simulated time.

python examples/run_bundle.py carp_cup_sim cup --seed 7
"""

from __future__ import annotations

import argparse

import carp_ros
from carp_ros.evaluation.trials import PolicyAgentFactory, TrialRunner, TrialSettings


def main() -> int:
    """Run a trial and print its outcome; return 0 if the task was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="a folder, or a name in models/")
    parser.add_argument("task", help="one of the bundle's tasks")
    parser.add_argument("--seed", type=int, default=0, help="of the scene")
    parser.add_argument("--seconds", type=float, default=40.0, help="limit on simulated time")
    arguments = parser.parse_args()
    rig = carp_ros.load_rig(carp_ros.rig_path("ur5e_sim"))
    follow = PolicyAgentFactory(carp_ros.bundle_path(arguments.bundle), arguments.task)
    settings = TrialSettings(
        rig, arguments.task, "normal", arguments.seconds, follow, needs_cameras=True
    )
    runner = TrialRunner(settings)
    trial, _ = runner.run(arguments.seed)
    runner.close()
    said = "done" if trial.success else f"not done: {'; '.join(trial.reasons)}"
    print(f"seed {trial.seed}: {said}, after {trial.seconds:.1f} s of simulated time")
    return 0 if trial.success else 1


if __name__ == "__main__":
    raise SystemExit(main())
