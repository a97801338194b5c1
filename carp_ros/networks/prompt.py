"""FASTer's prompt: the task in words and the measured state as whole numbers.

Its form is that of the paper (arXiv:2512.04952), which follows openpi's FAST; the state is scaled
to [-1, 1] and cut into 256 bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 256


def prompt(instruction: str, scaled_state: Sequence[float]) -> str:
    """Return the prompt.

    Args:
        instruction: In words.
        scaled_state: The measured state, in [-1, 1]; numbers beyond take the outermost bins.
    """
    numbers = " ".join(map(str, bins(scaled_state)))
    return f"Task: {instruction}, State: {numbers};\nAction: "


def bins(scaled: Sequence[float]) -> list[int]:
    """Return the bin of each number, 0 to 255."""
    shares = (np.asarray(scaled, dtype=np.float64) + 1.0) / 2.0
    return np.clip(np.floor(shares * BINS), 0, BINS - 1).astype(int).tolist()
