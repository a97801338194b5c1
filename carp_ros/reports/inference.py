"""The policy node's report about each chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from carp_ros.strict import Between, Sized

_Seconds = Annotated[float, Between(-60.0, 3600.0)]


@dataclass(frozen=True)
class InferenceReport:
    """One chunk that was sent, on `policy/inference`.

    Attributes:
        stamp_ns: The chunk's stamp: when its newest observation was captured.
        seconds: Duration of each stage: `image_age`, the policy's own, `total`.
        transport_s: From capture until the last of the observation's images had arrived.
        figures: The policy's own figures, see `policies.policy.Prediction.figures`.
        reduced: Whether detail was left out to keep the deadline.
        notes: Anything unusual, in words.
        encoded_ahead: How many images had been encoded before the policy was asked for a chunk.
    """

    schema: ClassVar[int] = 3

    stamp_ns: int
    seconds: dict[str, _Seconds]
    transport_s: float
    figures: dict[str, float]
    reduced: bool
    notes: Annotated[tuple[str, ...], Sized(0, 100)]
    encoded_ahead: int
