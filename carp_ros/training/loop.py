"""The training loop of tokenizers and policies: steps, weight averages, checkpoints, metrics.

It runs in one process or, under `torchrun`, in one per rank; the global batch and the loss are the
same in both cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from carp_ros.strict import Between
from carp_ros.training.device import (
    Precision,
    autocast,
    dtype_of,
    require_compiler,
    training_device,
)
from carp_ros.training.divergence import DivergenceWatch
from carp_ros.training.ema import Ema
from carp_ros.training.gradients import CudaGraphGradients, Inputs
from carp_ros.training.optimizer import OptimizerConfig, make_optimizer, set_rates
from carp_ros.training.ranks import average_gradients, mean_over_ranks, rank, share_of, world
from carp_ros.training.resume import restore
from carp_ros.training.run_folder import STATE, RunFolder
from carp_ros.training.windows import Indices

Figures = Mapping[str, float]

MOST_SEED = 2**32 - 1

SKIPPED = "steps_skipped"
"""Share of skipped steps, whose gradient was not finite; logged for epochs that have any."""


@dataclass(frozen=True)
class LoopConfig:
    """Length, batch size, precision and optimiser of a training.

    Attributes:
        epochs: Passes over the training windows.
        batch: Windows per step, over all ranks.
        validate_every: Epochs between validations; the last epoch is always validated.
        precision: Of the arithmetic: bf16, fp16, fp32, or auto, the fastest that this device
            supports in hardware.
        seed: Of initial weights, order and augmentation.
        optimizer: AdamW and its learning-rate schedule.
        average: Validate and save a moving average of the weights; else those of the last step.
        compile: Use torch.compile: a minute more at the start, and steps that take about two thirds
            of the time. Needs a C++ compiler.
    """

    epochs: Annotated[int, Between(1, 1_000_000)]
    batch: Annotated[int, Between(1, 1_000_000)]
    validate_every: Annotated[int, Between(1, 1_000_000)] = 5
    precision: Precision = "auto"
    seed: Annotated[int, Between(0, MOST_SEED)] = 0
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    average: bool = True
    compile: bool = False


class Trainee(Protocol):
    """A network and the data that it is trained on."""

    @property
    def network(self) -> nn.Module:
        """The network whose trainable weights are updated."""
        ...

    @property
    def windows(self) -> Indices:
        """The windows to train on."""
        ...

    def inputs(self, batch: Indices, generator: np.random.Generator) -> Inputs:
        """Return the inputs of this rank's losses, on the device.

        Args:
            batch: The global batch; this rank uses `share_of` it.
            generator: For augmentation; in the same state on every rank.
        """
        ...

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return `loss`, to be minimised, and other metrics; means over this rank's windows."""
        ...

    def validate(self) -> dict[str, float]:
        """Return metrics of the network, which has the weights to keep; called on rank 0 only."""
        ...


def train(
    trainee: Trainee,
    config: LoopConfig,
    folder: RunFolder,
    progress: Callable[[int, int, Figures], None] = lambda done, total, figures: None,
    *,
    by_chance: bool = True,
) -> None:
    """Train to the last epoch, resuming an earlier run of the folder.

    A network without weights to train is validated and saved as it is, as of epoch 0.

    Args:
        trainee: What is trained; at the end its network has the weights to keep.
        config: Of the loop.
        folder: Where state and metrics are written, by rank 0 only.
        progress: Called every few steps with steps done, total steps and the latest metrics.
        by_chance: Whether the weights were random at the very beginning: a loss that never falls is
            then an error.

    Raises:
        ValueError: If there is nothing to train on or to validate on, if training diverged (the
            folder keeps the weights from before), or if it learnt nothing.
    """
    if (count := min(config.batch, len(trainee.windows))) < world():
        raise ValueError(
            f"a step has {count} windows to train on; expected at least one for each of"
            f" {world()} processes"
        )
    if not any(weight.requires_grad for weight in trainee.network.parameters()):
        _save_as_it_is(trainee, config, folder)
        return
    run = _Run(trainee, config, folder)
    watch = DivergenceWatch()
    for row in folder.figures():
        watch.take(int(row["epoch"]), row["loss"], row.get(SKIPPED, 0.0))
    for epoch in range(run.first_epoch, config.epochs):
        figures = run.train_epoch(epoch, progress)
        if not watch.take(epoch + 1, figures["loss"], figures.get(SKIPPED, 0.0)):
            continue
        last = epoch + 1 == config.epochs
        if last or (epoch + 1) % config.validate_every == 0:
            figures |= run.validated()
        run.close_epoch(epoch, figures)
    if by_chance:
        watch.finish()
    run.finish()


def _save_as_it_is(trainee: Trainee, config: LoopConfig, folder: RunFolder) -> None:
    network = trainee.network.to(training_device()).eval()
    if rank():
        return
    some = trainee.inputs(trainee.windows[: config.batch], np.random.default_rng(config.seed))
    with torch.no_grad():
        figures = {name: float(value) for name, value in trainee.losses(some).items()}
        figures |= trainee.validate()
    folder.log({"step": 0, "epoch": 0, **figures})
    folder.save({"network": network.state_dict(), "epoch": 0}, network.state_dict())


class _Run:
    """State of a running training."""

    def __init__(self, trainee: Trainee, config: LoopConfig, folder: RunFolder) -> None:
        self._trainee, self._config, self._folder = trainee, config, folder
        self._device = training_device()
        self._dtype = dtype_of(config.precision, self._device)
        network = trainee.network.to(self._device)
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._optimizer = make_optimizer(network, config.optimizer)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._dtype == torch.float16)
        self._ema = Ema(network)
        self._losses = trainee.losses
        if config.compile:
            require_compiler()
            self._losses = torch.compile(trainee.losses, dynamic=False)
        # gradient scaling and averaging over ranks, between loss and step, can't be in a graph
        torch.backends.cudnn.benchmark = True  # all steps have the same shapes
        alone = self._device.type == "cuda" and world() == 1 and not self._scaler.is_enabled()
        self._gradients = (
            CudaGraphGradients(self._computed, network, self._weights) if alone else self._computed
        )
        self.steps_an_epoch = max(1, len(trainee.windows) // config.batch)
        self.first_epoch = 0
        state = folder.load()
        if state:
            self.first_epoch = restore(
                state,
                str(folder.path / STATE),
                network,
                self._ema,
                self._optimizer,
                self._scaler,
                config.epochs,
            )

    def train_epoch(
        self, epoch: int, progress: Callable[[int, int, Figures], None]
    ) -> dict[str, float]:
        """Make one pass over the windows; return the mean metrics."""
        self._trainee.network.train()
        torch.manual_seed(self._config.seed + 1000 * epoch + rank())  # for drop path
        begin_s, sums, count = time.monotonic(), {}, 0
        total = self.steps_an_epoch * self._config.epochs
        for batch, generator in self._batches(epoch):
            step = epoch * self.steps_an_epoch + count
            figures = self._step(batch, generator, step, total)
            sums = {name: sums.get(name, 0.0) + value for name, value in figures.items()}
            count += 1
            if count % 10 == 0 or count == self.steps_an_epoch:
                means = {name: float(value) / count for name, value in sums.items()}
                progress(step + 1, total, means)
        means = {name: float(value) / count for name, value in sums.items()}
        if not means[SKIPPED]:
            del means[SKIPPED]
        seconds = max(time.monotonic() - begin_s, 1e-9)
        return {**means, "rate": self._rate, "windows_a_s": count * self._config.batch / seconds}

    def validated(self) -> dict[str, float]:
        """Return validation metrics of the weights to keep."""
        if rank():
            return {}
        network = self._trainee.network.eval()
        trained = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self._kept())
        try:
            with torch.no_grad(), autocast(self._device, self._dtype):
                return self._trainee.validate()
        finally:
            network.load_state_dict(trained)

    def close_epoch(self, epoch: int, figures: Figures) -> None:
        """Log the epoch's metrics and save a checkpoint."""
        if rank():
            return
        step = (epoch + 1) * self.steps_an_epoch
        self._folder.log({"step": step, "epoch": epoch + 1, **figures})
        state = {
            "network": self._trainee.network.state_dict(),
            "average": self._ema.average,
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "epoch": epoch + 1,
        }
        self._folder.save(state, self._kept())

    def finish(self) -> None:
        """Load the weights to keep into the network."""
        self._trainee.network.load_state_dict(self._kept())
        self._trainee.network.eval()

    def _kept(self) -> dict[str, Tensor]:
        """Return the weights that are validated, saved and deployed: averaged, if so configured."""
        if self._config.average:
            return self._ema.state_dict()
        return self._trainee.network.state_dict()

    def _batches(self, epoch: int) -> Iterator[tuple[Indices, np.random.Generator]]:
        """Yield each global batch with the generator for its augmentation."""
        order = np.random.default_rng([self._config.seed, epoch]).permutation(self._trainee.windows)
        size = min(self._config.batch, len(order))
        for start in range(0, self.steps_an_epoch * size, size):
            batch = order[start : start + size]
            yield batch, np.random.default_rng([self._config.seed, epoch, start])

    def _step(
        self, batch: Indices, generator: np.random.Generator, step: int, total: int
    ) -> dict[str, Tensor]:
        config = self._config.optimizer
        self._rate = set_rates(self._optimizer, config, step, total)
        figures = self._gradients(self._trainee.inputs(batch, generator))
        self._scaler.unscale_(self._optimizer)
        part = share_of(len(batch))
        share = (part.stop - part.start) / len(batch)
        average_gradients(self._weights, share)
        norm = torch.nn.utils.clip_grad_norm_(self._weights, config.gradient_clip)
        is_finite = norm.isfinite()
        self._update(is_finite)
        self._ema.update(step + 1)
        detached = {name: value.detach() for name, value in figures.items()}
        detached["gradient_norm"] = torch.where(is_finite, norm, 0.0)
        detached[SKIPPED] = (~is_finite).float()
        if world() == 1:
            return detached
        return {name: mean_over_ranks(value, share) for name, value in detached.items()}

    def _update(self, is_finite: Tensor) -> None:
        """Take a step unless the gradient is not finite, which would destroy every weight."""
        if self._device.type != "cuda":
            if is_finite:
                self._optimizer.step()
        elif self._scaler.is_enabled():
            self._scaler.step(self._optimizer)  # checks for itself
            self._scaler.update()
        else:  # decided on the GPU, to avoid a synchronisation
            optimizer: Any = self._optimizer
            optimizer.found_inf = (~is_finite).float()
            optimizer.step()
            del optimizer.found_inf

    def _computed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Set this rank's gradients and return the metrics."""
        for weight in self._weights:
            weight.grad = None
        with autocast(self._device, self._dtype):
            figures = self._losses(inputs)
        self._scaler.scale(figures["loss"]).backward()
        return figures
