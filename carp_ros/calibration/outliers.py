"""Fits readings of which a few may be wrong, and names those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from carp_ros.errors import CalibrationError
from carp_ros.types import Array

Result = TypeVar("Result")
Chosen = npt.NDArray[np.bool_]

FACTOR_OF_FEW = 3.5
"""Readings whose error is more than this times the median disagree with the others.

For errors that are lengths of vectors of three to six dimensions: of some thousand good readings,
one exceeds this."""

FACTOR_OF_MANY = 2.0
"""The same for errors that are means over dozens of corners, and so vary little among good ones."""


def agreeing(errors: Array, harmless: float, factor: float = FACTOR_OF_FEW) -> Chosen:
    """Return which readings agree with the others, of shape (N,).

    Args:
        errors: Error of each reading, of shape (N,).
        harmless: Errors up to this always agree.
        factor: Errors up to this times the median agree, too.
    """
    return np.asarray(errors <= _limit(errors, harmless, factor))


def _limit(errors: Array, harmless: float, factor: float) -> float:
    return max(factor * float(np.median(errors)), harmless)


def fit_agreeing(
    fit: Callable[[Chosen], tuple[Result, Array]],
    start: Chosen,
    names: Sequence[str],
    *,
    harmless: float,
    least: int,
    factor: float = FACTOR_OF_FEW,
) -> tuple[Result, Array, Chosen]:
    """Fit the readings that agree with each other.

    Those that do not are left out, the worst first. Afterwards each is fitted with the others once
    more, the best first, and taken back if all agree as well as before: a reading that alone
    determines something is far from what the others predict. A grossly wrong one, though, may spoil
    the fit so much that all are equally wrong.

    Args:
        fit: Fits chosen readings; returns the result, and the error of every reading, (N,). Raises
            CalibrationError if they do not determine it.
        start: Which readings to start from, of shape (N,).
        names: Names of the readings.
        harmless: Errors up to this always agree.
        least: At least so many must agree, and more than half of them.
        factor: Errors up to this times the median agree, too.

    Returns:
        The result, the error of every reading, and which were used.

    Raises:
        CalibrationError: If too few agree.
    """
    used = start.copy()
    while True:
        _require_enough(used, names, least)
        result, errors = fit(used)
        wrong = used & ~agreeing(errors, harmless, factor)
        if not wrong.any():
            break
        used[int(np.argmax(np.where(wrong, errors, -1.0)))] = False
    for number in sorted(np.flatnonzero(~used), key=lambda number: errors[number]):
        tried = used.copy()
        tried[number] = True
        try:
            result_tried, errors_tried = fit(tried)
        except CalibrationError:
            continue
        if (errors_tried[tried] <= _limit(errors, harmless, factor)).all():
            used, result, errors = tried, result_tried, errors_tried
    return result, errors, used


def _require_enough(used: Chosen, names: Sequence[str], least: int) -> None:
    kept, needed = int(used.sum()), max(least, len(used) // 2 + 1)
    if kept < needed:
        others = ", ".join(name for name, is_used in zip(names, used) if not is_used)
        raise CalibrationError(
            f"only {kept} of {len(used)} agree with each other; expected at least {needed}."
            f" The others are {others}: take them again"
        )
