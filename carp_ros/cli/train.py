"""`carp train`: from a dataset to a policy, in two stages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import tyro

from carp_ros.cli.main import EXIT_INTERRUPTED
from carp_ros.cli.options import Seed, ZeroOr
from carp_ros.refusal import in_words
from carp_ros.strict import Between, Sized

Preset = Literal["cpu-small", "paper-state", "paper-image", "state"]


@dataclass(frozen=True)
class LearnFrom:
    """Of a dataset of another program: what its own names do not say.

    Attributes:
        state: Features whose numbers make up the state; none for observation.state.
        action: Feature of the actions; empty for action.
        cameras: Features of the images to look at, or their last names; none for all.
        rig: Name of the rig in config/ that it was recorded with, if the policy is to run there.
    """

    state: Annotated[tuple[str, ...], Sized(0, 16)] = ()
    action: str = ""
    cameras: Annotated[tuple[str, ...], Sized(0, 16)] = ()
    rig: str = ""


@dataclass(frozen=True)
class TokenizerCommand:
    """Stage 1: learn to say actions in tokens, from a dataset's actions alone.

    Stop it at any time and run the same command again: it goes on where it stopped.

    Attributes:
        dataset: Folder of `carp convert`, or of any dataset in LeRobot's format v2.1 or v3.0.
        out: Folder of the training: weights, figures as JSON lines and as curves.
        preset: The recipe; what else is given here replaces that part of it.
        scales: Tokens of each scale, coarse to fine; the last is a quarter of the horizon.
        lookup: How a code is chosen: by direction, cosine, or by distance, euclidean.
        epochs: Passes over the dataset; 0 takes the preset's.
        seed: Of initial weights and order.
        learn: What of another program's dataset to learn from.
    """

    dataset: tyro.conf.Positional[Path]
    out: Path
    preset: Preset = "cpu-small"
    scales: Annotated[tuple[int, ...], Between(1, 128), Sized(0, 32)] = ()
    lookup: Literal["preset", "cosine", "euclidean"] = "preset"
    epochs: Annotated[int, ZeroOr(1, 100_000)] = 0
    seed: Seed = 0
    learn: tyro.conf.OmitArgPrefixes[LearnFrom] = LearnFrom()


@dataclass(frozen=True)
class PolicyCommand:
    """Stage 2: learn to say what to do, from what the cameras saw and the state was.

    Ends with a bundle in OUT/bundle, which `carp eval --bundle` and `carp up --bundle` run. Stop it
    at any time and run the same command again: it goes on where it stopped. With several GPUs or
    machines: `torchrun --nproc-per-node N -m carp_ros.cli.main train policy ...`.

    Attributes:
        dataset: Folder of `carp convert`, or of any dataset in LeRobot's format v2.1 or v3.0.
        out: Folder of the training.
        policy: Its kind.
        tokenizer: Folder of `carp train tokenizer`; or a bundle or its name in models/, for the
            tokenizer that it has. Of kinds with tokens, such as carp.
        preset: The recipe; what else is given here replaces that part of it.
        start_from: Folder of an earlier training or of a bundle, of the same tokenizer and sizes,
            whose weights this one begins with: to go on with more or other demonstrations, for
            longer, or, after a training on several tasks, with one of them.
        demonstrations: Train on so many of each task; 0 takes all but those held out.
        epochs: Passes over the dataset; 0 takes the preset's.
        batch: Windows a step, of all ranks together; 0 takes the preset's.
        learning_rate: At its highest; 0 takes the preset's.
        compile: Let torch.compile write the step's kernels: a minute more at the start, shorter
            steps. Needs a C++ compiler.
        rollouts: Trials of each task in the simulated cell at each validation, from seed 5000 on.
        seed: Of initial weights, order and augmentation.
        learn: What of another program's dataset to learn from.
    """

    dataset: tyro.conf.Positional[Path]
    out: Path
    policy: Literal["carp", "regression"] = "carp"
    tokenizer: Path | None = None
    preset: Preset = "cpu-small"
    start_from: Path | None = None
    demonstrations: Annotated[int, ZeroOr(1, 1_000_000)] = 0
    epochs: Annotated[int, ZeroOr(1, 100_000)] = 0
    batch: Annotated[int, ZeroOr(1, 65_536)] = 0
    learning_rate: Annotated[float, ZeroOr(1e-9, 1.0)] = 0.0
    compile: bool = False
    rollouts: Annotated[int, ZeroOr(1, 10_000)] = 0
    seed: Seed = 0
    learn: tyro.conf.OmitArgPrefixes[LearnFrom] = LearnFrom()


TrainCommand = (
    Annotated[TokenizerCommand, tyro.conf.subcommand("tokenizer")]
    | Annotated[PolicyCommand, tyro.conf.subcommand("policy")]
)


def main(command: TokenizerCommand | PolicyCommand) -> int:
    """Train, showing progress; return 0, and 130 after Ctrl-C."""
    if find_spec("torch") is None:
        raise ValueError("training needs torch; pip install 'carp_ros[train]'")
    try:
        return _run(command)
    except KeyboardInterrupt:
        if int(os.environ.get("RANK", "0")) == 0:
            print(f"\ninterrupted: {command.out} is kept, the same command goes on from there")
        return EXIT_INTERRUPTED
    except OSError as error:  # a full disk: what was saved before is whole
        raise ValueError(
            f"{error.filename or command.out}: {in_words(error)}; {command.out} is kept, the same"
            " command goes on from there"
        ) from error


def _run(command: TokenizerCommand | PolicyCommand) -> int:
    if isinstance(command, TokenizerCommand):
        from carp_ros.cli import train_tokenizer

        return train_tokenizer.run(command)
    from carp_ros.cli import train_policy

    return train_policy.run(command)
