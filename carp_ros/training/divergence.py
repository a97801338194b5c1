"""Notices when a training loses what it had learned, as it does when the rate is too high."""

from __future__ import annotations

import math

_LOST = 0.5  # of what had been learned
_AT_LEAST = 0.1  # of the least loss: less is chance
_PATIENCE = 3


class DivergenceWatch:
    """Compares the loss of each epoch with the least one so far."""

    def __init__(self) -> None:
        self._first = self._least = math.inf
        self._least_epoch = 0
        self._bad = 0

    def take(self, epoch: int, loss: float) -> bool:
        """Return whether the weights of an epoch are worth keeping.

        Args:
            epoch: Its number, from 1.
            loss: Its mean.

        Raises:
            ValueError: If it is the third in a row that is not, or the loss is no number.
        """
        if math.isinf(self._first) and math.isfinite(loss):
            self._first = loss
        if loss <= self._least:
            self._least, self._least_epoch, self._bad = loss, epoch, 0
            return True
        allowed = max(_LOST * (self._first - self._least), _AT_LEAST * abs(self._least))
        if loss <= self._least + allowed:
            self._bad = 0
            return True
        self._bad += 1
        if self._bad >= _PATIENCE or not math.isfinite(loss):
            raise ValueError(
                f"training diverged: loss is {loss:.4g} in epoch {epoch}, and was"
                f" {self._least:.4g} in epoch {self._least_epoch}; the folder keeps the weights"
                " from before the rise. Begin anew in another folder with a lower --learning-rate"
            )
        return False
