"""What the policy node tells of each chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from carp_ros.strict import Between, Sized

_Seconds = Annotated[float, Between(-60.0, 3600.0)]


@dataclass(frozen=True)
class InferenceReport:
    """One chunk that was sent, on `policy/inference`.

    Attributes:
        stamp_ns: Of the chunk: when its newest observation was captured.
        seconds: How long each stage took: `image_age`, the policy's own, `total`.
        transport_s: From the capture until the last of the observation's images had arrived.
        figures: What the policy says of itself, see `policies.policy.Prediction.figures`.
        reduced: Whether details were left out to keep the deadline.
        notes: In words, what is unusual.
        seen_before: How many images had been looked at before the policy was asked.
    """

    schema: ClassVar[int] = 2

    stamp_ns: int
    seconds: dict[str, _Seconds]
    transport_s: float
    figures: dict[str, float]
    reduced: bool
    notes: Annotated[tuple[str, ...], Sized(0, 100)]
    seen_before: int
