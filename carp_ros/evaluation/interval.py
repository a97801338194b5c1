"""Confidence intervals of success rates over few trials."""

from __future__ import annotations

import math

_Z_95 = 1.959963984540054


def wilson(successes: int, trials: int, z: float = _Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a success rate.

    Unlike the textbook interval (rate plus or minus z standard errors), it stays within 0 and 1 and
    does not collapse to zero width when all trials agree. Source: Wilson, "Probable Inference, the
    Law of Succession, and Statistical Inference" (1927).

    Args:
        successes: Number of successful trials.
        trials: Number of trials.
        z: Standard normal quantile; the default makes a 95 % interval.

    Raises:
        ValueError: If there were no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials; expected at least one trial")
    rate = successes / trials
    middle = rate + z * z / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # Rounding must not push the rate itself outside its interval.
    return min(rate, max(0.0, (middle - half) / scale)), max(
        rate, min(1.0, (middle + half) / scale)
    )
