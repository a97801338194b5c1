"""An operator's request about the episode, as a message on the topic `episode/event`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import get_args

from carp_ros.errors import MessageError
from carp_ros.types import Wish

_SCHEMA = 1


@dataclass(frozen=True)
class EpisodeEvent:
    """One request, and its source `by`: spacemouse, gamepad, keyboard or service."""

    wish: Wish
    by: str

    def to_json(self) -> str:
        """Return the event as the text of a message."""
        return json.dumps({"schema": _SCHEMA, "event": self.wish, "by": self.by})


def event_from_json(text: str) -> EpisodeEvent:
    """Parse the text of a message.

    Raises:
        MessageError: If it is not a known event.
    """
    try:
        content = json.loads(text)
        schema, wish, by = content["schema"], content["event"], str(content.get("by", ""))
    except (ValueError, TypeError, KeyError) as error:
        raise MessageError(
            f"episode event is {text[:80]!r}; expected JSON with schema and event"
        ) from error
    if schema != _SCHEMA or wish not in get_args(Wish):
        raise MessageError(
            f"episode event is {wish!r} of schema {schema!r}; expected one of"
            f" {', '.join(get_args(Wish))} of schema {_SCHEMA}"
        )
    return EpisodeEvent(wish, by)
