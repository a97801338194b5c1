"""The quality of stamped streams: rate, gaps, clock, frozen cameras, skew between cameras."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from carp_ros.recording.findings import Finding, Thresholds
from carp_ros.recording.stream_meter import StreamMeter


class StreamQuality:
    """Judges one stream's rate, gaps and order, and whether its stamps follow the clock.

    Args:
        name: The stream's name in the findings.
        rate_hz: The expected rate.
        thresholds: When a fault counts.
    """

    def __init__(self, name: str, rate_hz: float, thresholds: Thresholds) -> None:
        self._name = name
        self._rate_hz = rate_hz
        self._thresholds = thresholds
        self._meter = StreamMeter(rate_hz)
        self._first_received_ns = self._last_received_ns = 0
        self._most_ahead_ns = self._most_behind_ns = 0
        self.stamps_ns: list[int] = []

    def take(self, stamp_ns: int, received_ns: int) -> None:
        """Add a message with this stamp, which arrived at `received_ns`."""
        if not self._meter.received:
            self._first_received_ns = received_ns
        self._last_received_ns = received_ns
        self._most_ahead_ns = max(self._most_ahead_ns, stamp_ns - received_ns)
        self._most_behind_ns = max(self._most_behind_ns, received_ns - stamp_ns)
        self._meter.add(stamp_ns)
        if not self.stamps_ns or stamp_ns > self.stamps_ns[-1]:
            self.stamps_ns.append(stamp_ns)

    @property
    def received(self) -> int:
        """Number of messages received."""
        return self._meter.received

    @property
    def expected(self) -> int:
        """Number of messages expected between the first and the last."""
        return self._meter.expected(self.stamps_ns[-1]) if self.stamps_ns else 0

    def findings(self, began_ns: int, now_ns: int) -> Iterator[Finding]:
        """Yield the stream's faults in an episode from `began_ns` to `now_ns`."""
        if not self.stamps_ns:
            yield Finding("red", f"{self._name}: no message arrived")
            return
        yield from self._share()
        yield from self._gaps(began_ns, now_ns)
        yield from self._clock()
        if self._meter.out_of_order:
            yield Finding(
                "amber",
                f"{self._name}: {self._meter.out_of_order} stamps repeat or run backwards",
            )

    def _share(self) -> Iterator[Finding]:
        share = len(self.stamps_ns) / self.expected
        if share < self._thresholds.amber_share:
            colour = "red" if share < self._thresholds.red_share else "amber"
            yield Finding(
                colour,
                f"{self._name}: {len(self.stamps_ns)} of {self.expected} promised messages"
                f" ({share:.0%} of {self._rate_hz:.0f} Hz)",
            )

    def _gaps(self, began_ns: int, now_ns: int) -> Iterator[Finding]:
        limits = self._thresholds
        gap_s = self._meter.largest_gap_ns * 1e-9
        amber_s = max(limits.amber_gap_s, limits.amber_gap_periods / self._rate_hz)
        if gap_s > amber_s:
            colour = "red" if gap_s > max(limits.red_gap_s, amber_s) else "amber"
            yield Finding(colour, f"{self._name}: nothing for {gap_s:.2f} s in between")
        for span_ns, when in (
            (self.stamps_ns[0] - began_ns, "began"),
            (now_ns - self.stamps_ns[-1], "ended"),
        ):
            if span_ns * 1e-9 > max(limits.red_gap_s, amber_s):
                where = "late" if when == "began" else "early"
                yield Finding("red", f"{self._name}: {when} {span_ns * 1e-9:.2f} s too {where}")

    def _clock(self) -> Iterator[Finding]:
        limits = self._thresholds
        ahead_s, behind_s = self._most_ahead_ns * 1e-9, self._most_behind_ns * 1e-9
        if ahead_s > limits.future_s:
            yield Finding(
                "red", f"{self._name}: stamped {ahead_s:.2f} s in the future, by another clock?"
            )
        if behind_s > limits.past_s:
            yield Finding("amber", f"{self._name}: arrived {behind_s:.2f} s after its stamp")
        received_ns = self._last_received_ns - self._first_received_ns
        drift_ns = abs(self._meter.span_ns - received_ns)
        if drift_ns > max(limits.drift_s * 1e9, limits.drift * received_ns):
            # all received at the same instant: avoid division by zero
            ratio = self._meter.span_ns / max(received_ns, 1)
            yield Finding("red", f"{self._name}: its stamps run {ratio:.2f} times real time")


class FrozenImage:
    """Detects a camera that repeats the same image while the tool moves.

    While everything stands still, equal images are correct: a simulated camera has no noise.

    Args:
        name: The camera's name in the finding.
        thresholds: When a frozen image counts.
    """

    def __init__(self, name: str, thresholds: Thresholds) -> None:
        self._name = name
        self._thresholds = thresholds
        self._fingerprint: int | None = None
        self._since_ns = 0
        self._motions_before = 0
        self._longest_ns = 0

    def take(self, stamp_ns: int, fingerprint: int, motions: int) -> None:
        """Add an image.

        Args:
            stamp_ns: When it was captured.
            fingerprint: Equal only for equal images.
            motions: Number of motions of the tool so far.
        """
        if fingerprint != self._fingerprint:
            self._fingerprint, self._since_ns = fingerprint, stamp_ns
            self._motions_before = motions
        elif motions - self._motions_before >= self._thresholds.frozen_motions:
            self._longest_ns = max(self._longest_ns, stamp_ns - self._since_ns)

    def findings(self) -> Iterator[Finding]:
        """Yield how long the image was frozen, if it was."""
        if self._longest_ns * 1e-9 > self._thresholds.frozen_s:
            yield Finding(
                "red",
                f"{self._name}: the same image for {self._longest_ns * 1e-9:.1f} s while the"
                " tool moved",
            )


def skew_findings(
    names: tuple[str, str],
    stamps_ns: tuple[Sequence[int], Sequence[int]],
    thresholds: Thresholds,
) -> Iterator[Finding]:
    """Yield the share of one camera's images without a nearby image of the other camera.

    Args:
        names: The two cameras' names.
        stamps_ns: The capture times of their images, rising.
        thresholds: When skew counts.
    """
    reference, other = stamps_ns
    if not reference or not other:
        return
    limit_ns = thresholds.skew_s * 1e9
    skewed = sum(_distance(stamp_ns, other) > limit_ns for stamp_ns in reference)
    share = skewed / len(reference)
    if share > thresholds.amber_skewed_share:
        colour = "red" if share > thresholds.red_skewed_share else "amber"
        yield Finding(
            colour,
            f"{names[0]} and {names[1]}: more than {thresholds.skew_s * 1e3:.0f} ms apart in"
            f" {share:.0%} of the frames",
        )


def _distance(stamp_ns: int, others_ns: Sequence[int]) -> int:
    """Return the time in [ns] to the nearest of `others_ns`, which must rise."""
    after = bisect_left(others_ns, stamp_ns)
    return min(abs(stamp_ns - other_ns) for other_ns in others_ns[max(after - 1, 0) : after + 1])
