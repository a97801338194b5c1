"""What is told of each chunk on the topic `policy/inference`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from carp_ros.errors import MessageError
from carp_ros.policies.asking import Answer
from carp_ros.refusal import refusing
from carp_ros.strict import Between, Sized, read_strictly

_Seconds = Annotated[float, Between(-60.0, 3600.0)]


@dataclass(frozen=True)
class InferenceReport:
    """One chunk that was sent.

    Attributes:
        schema: Of this report.
        stamp_ns: Of the chunk: when its newest observation was captured.
        seconds: How long each stage took: `image_age`, the policy's own, `total`.
        transport_s: From the capture until the last of the observation's images had arrived.
        figures: What the policy says of itself, see `Prediction.figures`.
        reduced: Whether details were left out to keep the deadline.
        notes: In words, what is unusual.
        seen_before: How many images had been looked at before the policy was asked.
    """

    schema: Literal[2]
    stamp_ns: int
    seconds: dict[str, _Seconds]
    transport_s: float
    figures: dict[str, float]
    reduced: bool
    notes: Annotated[tuple[str, ...], Sized(0, 100)]
    seen_before: int

    @classmethod
    def of(cls, answer: Answer, transport_s: float) -> InferenceReport:
        """Return the report of an answer that has a prediction."""
        prediction = answer.prediction
        assert prediction is not None
        return cls(
            2,
            prediction.stamp_ns,
            answer.stage_seconds,
            transport_s,
            dict(prediction.figures),
            prediction.reduced,
            prediction.notes,
            prediction.seen_before,
        )

    def to_json(self) -> str:
        """Return it as it is sent."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> InferenceReport:
        """Return what `to_json` wrote.

        Raises:
            MessageError: If it is none, or of another schema.
        """
        with refusing(MessageError, "policy/inference"):
            content: Any = json.loads(text)
            return read_strictly(cls, content, "policy/inference")
