"""Buttons that make a wish about the episode: start it, stop it, call it a success, discard it."""

from __future__ import annotations

from typing import get_args

from carp_ros.control.gestures import HELD_NS
from carp_ros.types import PointerState, Wish

_WISHES: tuple[Wish, ...] = get_args(Wish)


class EpisodeButtons:
    """Turns presses into wishes.

    Each press makes one wish. `discard` must be held for 1.5 s, as what it discards is lost. A
    button that is down at first, or when the pointer comes back, counts once it was let go.
    """

    def __init__(self) -> None:
        self._since_ns: dict[Wish, int] = {}
        self._done: set[Wish] = set(_WISHES)

    def take(self, state: PointerState, now_ns: int) -> tuple[Wish, ...]:
        """Return the wishes that are complete.

        Args:
            state: The pointer's state, read at `now_ns`.
            now_ns: Must not decrease between calls.
        """
        if not state.connected or state.refusal is not None:
            self._since_ns, self._done = {}, set(_WISHES)
            return ()
        self._done &= state.wishes
        self._since_ns = {w: self._since_ns.get(w, now_ns) for w in _WISHES if w in state.wishes}
        complete: list[Wish] = []
        for wish, since_ns in self._since_ns.items():
            held = wish != "discard" or now_ns - since_ns >= HELD_NS
            if held and wish not in self._done:
                complete.append(wish)
        self._done.update(complete)
        return tuple(complete)
