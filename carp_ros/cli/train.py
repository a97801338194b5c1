"""`carp train`: trains a policy on a dataset, in two stages."""

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

Preset = Literal["cpu-small", "paper-state", "paper-image", "state", "published"]
TokenizerPreset = Literal["cpu-small", "paper-state", "paper-image", "state", "paper", "tiny"]


@dataclass(frozen=True)
class ForeignDatasetOptions:
    """Options for another program's dataset: what its own names do not tell.

    Attributes:
        state: Features concatenated to the state; default: observation.state.
        action: The feature with the actions; default: action.
        cameras: The image features to use, or their last names; default: all.
        rig: Name in config/ of the rig that recorded it, if the policy is to run there.
    """

    state: Annotated[tuple[str, ...], Sized(0, 16)] = ()
    action: str = ""
    cameras: Annotated[tuple[str, ...], Sized(0, 16)] = ()
    rig: str = ""


@dataclass(frozen=True)
class BackboneOptions:
    """The published vision-language model that is the backbone of a faster policy.

    Train in two stages: first with the whole backbone frozen, then with --start-from that run and
    --freeze lower-half.

    Attributes:
        backbone: Its folder, with config.json, *.safetensors and tokenizer.json, as downloaded;
            default: the tiny backbone, trained from scratch. With preset published.
        backbone_layers: How many of the decoder's first layers to keep; 0 for all.
        backbone_px: Side of the square that images are scaled to; 0 for the published one.
        freeze: What is not trained: all of the backbone; vision and the decoder's lower half; or
            nothing.
        lora_rank: Train ways of this width around the backbone's layers instead, where it does not
            fit the GPU; 0 for none.
    """

    backbone: Path | None = None
    backbone_layers: Annotated[int, ZeroOr(1, 1000)] = 0
    backbone_px: Annotated[int, ZeroOr(1, 4096)] = 0
    freeze: Literal["backbone", "lower-half", "nothing"] = "backbone"
    lora_rank: Annotated[int, ZeroOr(1, 1024)] = 0


@dataclass(frozen=True)
class TokenizerCommand:
    """Stage 1: train the tokenizer, which turns chunks of actions into tokens.

    Only the dataset's actions are used. Stop it at any time and run the same command again: it
    resumes where it stopped. The kinds fast and binning learn nothing by gradients: they are fitted
    to the dataset in seconds, without epochs.

    Attributes:
        dataset: Dataset of `carp convert`, or any dataset in LeRobot's format v2.1 or v3.0.
        out: Folder of the run: weights, and figures as JSON lines and as curves.
        kind: The kind of tokenizer: carp's multi-scale VQ, faster's residual VQ (FASTerVQ), fast's
            compressed cosine transform (FAST), or binning, a token for each number and step.
        preset: The recipe; other options given here override parts of it. Of carp: cpu-small,
            paper-state, paper-image, state; of faster: cpu-small, tiny, paper; of fast and binning:
            cpu-small, paper.
        scales: Of carp: number of tokens per scale, coarse to fine; the last is a quarter of the
            action horizon.
        lookup: Of carp: how a code is chosen: by direction (cosine) or by distance (euclidean).
        most_tokens: Of fast: tokens of a chunk, those beyond are cut off; 0 cuts none.
        epochs: Passes over the dataset; 0 takes the preset's. Not of fast and binning.
        seed: Seed of initial weights and sample order.
        learn: Which parts of another program's dataset to learn from.
    """

    dataset: tyro.conf.Positional[Path]
    out: Path
    kind: Literal["carp", "faster", "fast", "binning"] = "carp"
    preset: TokenizerPreset = "cpu-small"
    scales: Annotated[tuple[int, ...], Between(1, 128), Sized(0, 32)] = ()
    lookup: Literal["preset", "cosine", "euclidean"] = "preset"
    most_tokens: Annotated[int, ZeroOr(1, 100_000)] = 0
    epochs: Annotated[int, ZeroOr(1, 100_000)] = 0
    seed: Seed = 0
    learn: tyro.conf.OmitArgPrefixes[ForeignDatasetOptions] = ForeignDatasetOptions()


@dataclass(frozen=True)
class PolicyCommand:
    """Stage 2: train the policy, which predicts actions from images and state.

    Ends with a bundle in OUT/bundle, which `carp eval --bundle` and `carp up --bundle` run. Stop it
    at any time and run the same command again: it resumes where it stopped. With several GPUs or
    machines: `torchrun --nproc-per-node N -m carp_ros.cli.main train policy ...`.

    Attributes:
        dataset: Dataset of `carp convert`, or any dataset in LeRobot's format v2.1 or v3.0.
        out: Folder of the run.
        policy: The kind of policy.
        tokenizer: Folder of `carp train tokenizer`; or a bundle, or its name in models/, to use its
            tokenizer. Only for kinds with tokens, such as carp.
        preset: The recipe; other options given here override parts of it. Published is faster's,
            for a published backbone.
        start_from: Folder of an earlier run or a bundle, with the same tokenizer and sizes, whose
            weights to start from: to train longer, on more or other demonstrations, or to fine-tune
            a multi-task policy on one task.
        demonstrations: Train on this many per task; 0 takes all but the held-out set.
        epochs: Passes over the dataset; 0 takes the preset's.
        batch: Windows per step, over all ranks; 0 takes the preset's.
        learning_rate: Peak of the learning-rate schedule; 0 takes the preset's.
        committed_steps: Train a policy that is told up to this many steps of its last plan, which
            the arm goes on with until the next plan is there: for plans in quick succession, or a
            slow computer. 0 takes the preset's. Of carp and faster.
        block: Of faster: tokens that are predicted at once; 1 predicts one by one, 0 as many as
            suit the tokenizer, such as a level of it.
        compile: Use torch.compile: a minute longer to start, faster steps. Needs a C++ compiler.
        rollouts: Trials per task in the simulated cell at each validation, from seed 5000 on.
        seed: Seed of initial weights, sample order and augmentation.
        learn: Which parts of another program's dataset to learn from.
        published: Which published model is the backbone.
    """

    dataset: tyro.conf.Positional[Path]
    out: Path
    policy: Literal["carp", "regression", "faster"] = "carp"
    tokenizer: Path | None = None
    preset: Preset = "cpu-small"
    start_from: Path | None = None
    demonstrations: Annotated[int, ZeroOr(1, 1_000_000)] = 0
    epochs: Annotated[int, ZeroOr(1, 100_000)] = 0
    batch: Annotated[int, ZeroOr(1, 65_536)] = 0
    learning_rate: Annotated[float, ZeroOr(1e-9, 1.0)] = 0.0
    committed_steps: Annotated[int, ZeroOr(1, 64)] = 0
    block: Annotated[int, ZeroOr(1, 1000)] = 0
    compile: bool = False
    rollouts: Annotated[int, ZeroOr(1, 10_000)] = 0
    seed: Seed = 0
    learn: tyro.conf.OmitArgPrefixes[ForeignDatasetOptions] = ForeignDatasetOptions()
    published: tyro.conf.OmitArgPrefixes[BackboneOptions] = BackboneOptions()


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
            print(f"\ninterrupted: {command.out} is kept, the same command resumes from there")
        return EXIT_INTERRUPTED
    except OSError as error:  # such as a full disk: earlier checkpoints are intact
        raise ValueError(
            f"{error.filename or command.out}: {in_words(error)}; {command.out} is kept, the same"
            " command resumes from there"
        ) from error


def _run(command: TokenizerCommand | PolicyCommand) -> int:
    if isinstance(command, TokenizerCommand):
        from carp_ros.cli import train_tokenizer

        return train_tokenizer.run(command)
    from carp_ros.cli import train_policy

    return train_policy.run(command)
