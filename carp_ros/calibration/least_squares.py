"""Levenberg-Marquardt for the few dozen unknowns of a calibration.

Own, in 40 lines: SciPy would be a dependency of 40 MB for this one function, and OpenCV has none
for arbitrary residuals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from carp_ros.types import Array

State = TypeVar("State")
_STEPS = 60
_CONVERGED = 1e-8


class Fit(NamedTuple, Generic[State]):
    """Result: the `state`, its `residuals` (M,), and `information`, J^T J of shape (P, P)."""

    state: State
    residuals: Array
    information: Array


def minimise(
    state: State,
    residuals: Callable[[State], tuple[Array, Array]],
    moved: Callable[[State, Array], State],
) -> Fit[State]:
    """Minimise a sum of squared residuals (Marquardt, 1963).

    Args:
        state: Initial value.
        residuals: Returns the residuals of shape (M,) and their Jacobian (M, P) by a step.
        moved: Returns the state after a step of shape (P,).
    """
    r, jacobian = residuals(state)
    damping = 1e-4
    for _ in range(_STEPS):
        information = jacobian.T @ jacobian
        scale = np.diag(np.maximum(np.diag(information), 1e-12))
        step = np.linalg.lstsq(information + damping * scale, -jacobian.T @ r, rcond=None)[0]
        step = np.asarray(step, np.float64)
        tried = moved(state, step)
        r_tried, jacobian_tried = residuals(tried)
        before, after = float(r @ r), float(r_tried @ r_tried)
        if np.isfinite(after) and after <= before:
            state, r, jacobian = tried, r_tried, jacobian_tried
            damping = max(damping * 0.2, 1e-12)
            if before - after <= _CONVERGED * before:
                break
        elif damping > 1e8:
            break
        else:
            damping *= 8.0
    return Fit(state, r, jacobian.T @ jacobian)
