"""Shows the progress of training on the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from carp_ros.console.progress import Progress


class TrainProgress:
    """Shows steps, remaining time and the loss.

    Args:
        quiet: Print nothing, because another rank does.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._progress: Progress | None = None
        self._first = 0

    def show(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Show the number of steps done, out of the total, and the latest figures."""
        if self._quiet:
            return
        if self._progress is None:  # a resumed run counts from where it stopped
            self._first = done
            self._progress = Progress(max(total - self._first, 1), "steps")
        shown = ("loss", "token_accuracy", "reconstruction_loss", "steps_skipped")
        notes = [f"{n.replace('_', ' ')} {figures[n]:.4f}" for n in shown if figures.get(n)]
        self._progress.show(done - self._first, ", ".join(notes))
