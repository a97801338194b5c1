"""`carp train policy --rollouts`: runs trials in the simulated cell at each validation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from carp_ros.cli.export import provenance
from carp_ros.evaluation.trials import PolicyAgentFactory, TrialSettings, run_trials
from carp_ros.export.training_run import export_network
from carp_ros.rig import load_rig
from carp_ros.sim.tasks import task_named
from carp_ros.system.bringup import rig_path
from carp_ros.training.example import read_example
from carp_ros.training.family import Recipe, Rollout

if TYPE_CHECKING:
    from carp_ros.cli.train import PolicyCommand

_ROLLOUT_SEED, _ROLLOUT_S = 5000, 40.0


def rollout(command: PolicyCommand, recipe: Recipe, config: dict[str, Any]) -> Rollout:
    """Return a function that runs rollouts of a network in the simulated cell, on held-out seeds.

    Raises:
        ValueError: If the policy has no image encoder, the dataset's rig is not simulated, or a
            task is not one of the cell's.
    """
    encoder = recipe.image_encoder
    rig = load_rig(rig_path(config["rig"]))
    if encoder is None or rig.cell is None:
        raise ValueError(
            f"--rollouts is {command.rollouts}, but rig {rig.name} or preset {command.preset} has"
            " no simulated cell to see; expected 0"
        )

    for task in config["tasks"]:
        task_named(task)

    def try_out(network: Any) -> dict[str, float]:
        bundle = command.out / "bundle"
        example = read_example(command.out)
        export_network(network, encoder, example, config, bundle, provenance())
        seeds = range(_ROLLOUT_SEED, _ROLLOUT_SEED + command.rollouts)
        rates = {}
        for task in config["tasks"]:
            follow = PolicyAgentFactory(bundle, task)
            settings = TrialSettings(rig, task, "normal", _ROLLOUT_S, follow, needs_cameras=True)
            trials = run_trials(settings, seeds, (), len(os.sched_getaffinity(0)))
            rates[f"success_{task}"] = sum(trial.success for trial, _ in trials) / len(seeds)
        return rates

    return try_out
