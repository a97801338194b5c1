"""How both methods are trained: one course for all tasks and seeds, none picked by its result."""

from __future__ import annotations

from dataclasses import dataclass, field

from carp_ros.networks.carp_tokenizer import TokenizerConfig
from carp_ros.training.device import Precision
from carp_ros.training.loop import LoopConfig
from carp_ros.training.optimizer import OptimizerConfig

EXECUTED = 8
"""Steps of a chunk that are carried out before the next is planned, as the paper has it."""


@dataclass(frozen=True)
class Recipe:
    """Sizes and courses.

    Attributes:
        vq: CARP's tokenizer: as our small recipe has it, for four numbers.
        width: Of CARP's transformer.
        depth: Of it.
        heads: Of it.
        code_spread: How far a token's target spreads to codes near it, see `soft_targets`.
        fusion: Width of CARP's two hidden layers between state and condition.
        sharpness: Of the mean of codes that CARP's plans follow, see `CarpTransformer.generate`.
        hidden: Widths of the regression's hidden layers.
        batch: Windows a step, of every training.
        tokenizer_steps: Of CARP's first stage.
        steps: Of CARP's second stage, and of the regression.
        steps_an_epoch: A training is written to disk so often; where an epoch must be longer for
            every window to be in it, it is, and the last one ends after so many steps or soon.
        compile: Let torch.compile write the steps' kernels, see `LoopConfig`.
        seed: Of initial weights and order.
    """

    vq: TokenizerConfig = field(
        default_factory=lambda: TokenizerConfig(
            dimensions=4,
            horizon=16,
            scales=(1, 2, 4),
            codes=256,
            channels=4,
            cosine=False,
            codebook_decay=0.99,
            restart_below=0.1,
        )
    )
    width: int = 64
    depth: int = 4
    heads: int = 4
    code_spread: float = 0.6
    fusion: int = 256
    sharpness: float | None = 2.0
    hidden: tuple[int, ...] = (512, 512, 512)
    batch: int = 64
    tokenizer_steps: int = 4000
    steps: int = 8000
    steps_an_epoch: int = 250
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("tokenizer_steps", "steps"):
            steps = getattr(self, name)
            if steps < 1 or steps % self.steps_an_epoch:
                raise ValueError(
                    f"{name} is {steps}; expected a multiple of {self.steps_an_epoch},"
                    " the steps of an epoch"
                )

    def tokenizer_loop(self, steps_an_epoch: int) -> LoopConfig:
        """Return the course of CARP's first stage, as published but faster."""
        return self._loop(
            self.tokenizer_steps,
            steps_an_epoch,
            OptimizerConfig(3e-3, (0.5, 0.9), 0.005, 10.0, decay="cosine", last_rate=0.02),
            "fp32",
        )

    def carp_loop(self, steps_an_epoch: int) -> LoopConfig:
        """Return the course of CARP's second stage."""
        optimizer = OptimizerConfig(6e-4, gradient_clip=1.0, last_rate=0.01)
        return self._loop(self.steps, steps_an_epoch, optimizer)

    def regression_loop(self, steps_an_epoch: int) -> LoopConfig:
        """Return the course of the regression."""
        return self._loop(self.steps, steps_an_epoch, OptimizerConfig(1e-3, last_rate=0.01))

    def _loop(
        self,
        steps: int,
        steps_an_epoch: int,
        optimizer: OptimizerConfig,
        precision: Precision = "auto",
    ) -> LoopConfig:
        epochs = -(-steps // steps_an_epoch)
        # figures of the training windows, for the eye alone: twenty times
        every = max(1, epochs // 20)
        return LoopConfig(
            epochs, self.batch, every, precision, self.seed, optimizer, compile=self.compile
        )
