"""Notices when a training loses what it had learned, as at too high a rate, or never learns."""

from __future__ import annotations

import math

_LOST = 0.5  # of what had been learned
_AT_LEAST = 0.1  # of the least loss: less is chance
_PATIENCE = 3
_MOST_SKIPPED = 0.5  # of an epoch's steps; with fp16 some are left out until its scale is found
_JUDGED_EPOCHS = 5  # a course that is shorter may not have left its warm-up
_LEARNT = 0.005  # of the first loss: less is chance


class DivergenceWatch:
    """Compares the loss of each epoch with the least one so far."""

    def __init__(self) -> None:
        self._first = self._least = math.inf
        self._least_epoch = self._epoch = 0
        self._bad = self._skipping = 0

    def take(self, epoch: int, loss: float, skipped: float = 0.0) -> bool:
        """Return whether the weights of an epoch are worth keeping.

        Args:
            epoch: Its number, from 1.
            loss: Its mean.
            skipped: Share of its steps that were left out, as their gradient was no number.

        Raises:
            ValueError: If it is the third in a row that is not, or in which most steps were left
                out, or the loss is no number.
        """
        self._epoch = epoch
        self._skipping = self._skipping + 1 if skipped > _MOST_SKIPPED else 0
        if self._skipping >= _PATIENCE:
            raise ValueError(
                f"training learns nothing: the gradient was not finite in {skipped:.0%} of the"
                f" steps of epoch {epoch}, and in most of the two before. Look at the dataset for"
                " numbers far from all others (carp dataset), or begin anew in another folder with"
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
        """Refuse a course, begun with weights by chance, after which the loss is as high as before.

        Raises:
            ValueError: If it is.
        """
        if self._epoch < _JUDGED_EPOCHS or self._least < self._first - _LEARNT * abs(self._first):
            return
        raise ValueError(
            f"training learnt nothing: the mean loss was {self._first:.4g} in the first epoch, and"
            f" not below {self._least:.4g} in any of {self._epoch}. Look at the dataset (carp"
            " dataset), or begin anew in another folder with another --learning-rate"
        )

    @property
    def _before(self) -> str:
        if not self._least_epoch:
            return (
                "; expected a number. Look at the dataset (carp dataset), or begin anew in another"
                " folder with a lower --learning-rate"
            )
        return (
            f", and was {self._least:.4g} in epoch {self._least_epoch}; the folder keeps the"
            " weights from before the rise. Begin anew in another folder with a lower"
            " --learning-rate"
        )
