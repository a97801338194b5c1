"""Detects a training that diverges, for example at too high a learning rate, or never learns."""

from __future__ import annotations

import math

_LOST = 0.5  # allowed rise of the loss, as a share of its decrease so far
_AT_LEAST = 0.1  # always allowed, as a share of the lowest loss: noise
_PATIENCE = 3
_MOST_SKIPPED = 0.5  # of an epoch's steps; fp16 skips some until it has found its loss scale
_JUDGED_EPOCHS = 5  # a shorter training may still be in its warm-up
_LEARNT = 0.005  # required decrease, as a share of the first loss: less is noise


class DivergenceWatch:
    """Compares the loss of each epoch with the lowest so far."""

    def __init__(self) -> None:
        self._first = self._least = math.inf
        self._least_epoch = self._epoch = 0
        self._bad = self._skipping = 0

    def take(self, epoch: int, loss: float, skipped: float = 0.0) -> bool:
        """Return whether the weights of an epoch are worth keeping.

        Args:
            epoch: Its number, from 1.
            loss: Its mean.
            skipped: Share of its steps that were skipped because the gradient was not finite.

        Raises:
            ValueError: After three such epochs in a row, after three in which most steps were
                skipped, or if the loss is not finite.
        """
        self._epoch = epoch
        self._skipping = self._skipping + 1 if skipped > _MOST_SKIPPED else 0
        if self._skipping >= _PATIENCE:
            raise ValueError(
                f"training learns nothing: the gradient was not finite in {skipped:.0%} of the"
                f" steps of epoch {epoch}, and in most of the two before. Look at the dataset for"
                " numbers far from all others (carp dataset), or start again in another folder with"
                " a lower --learning-rate"
            )
        if math.isinf(self._first):
            self._first = loss
        if loss <= self._least and math.isfinite(loss):
            self._least, self._least_epoch, self._bad = loss, epoch, 0
            return True
        allowed = max(_LOST * (self._first - self._least), _AT_LEAST * abs(self._least))
        if loss <= self._least + allowed and math.isfinite(loss):
            self._bad = 0
            return True
        self._bad += 1
        if self._bad >= _PATIENCE or not math.isfinite(loss):
            raise ValueError(
                f"training diverged: loss is {loss:.4g} in epoch {epoch}{self._before}"
            )
        return False

    def finish(self) -> None:
        """Raise if a training from random weights never lowered the loss.

        Raises:
            ValueError: If so.
        """
        if self._epoch < _JUDGED_EPOCHS or self._least < self._first - _LEARNT * abs(self._first):
            return
        raise ValueError(
            f"training learnt nothing: the mean loss was {self._first:.4g} in the first epoch, and"
            f" not below {self._least:.4g} in any of {self._epoch}. Look at the dataset (carp"
            " dataset), or start again in another folder with another --learning-rate"
        )

    @property
    def _before(self) -> str:
        if not self._least_epoch:
            return (
                "; expected a number. Look at the dataset (carp dataset), or start again in another"
                " folder with a lower --learning-rate"
            )
        return (
            f", and was {self._least:.4g} in epoch {self._least_epoch}; the folder keeps the"
            " weights from before the rise. Start again in another folder with a lower"
            " --learning-rate"
        )
