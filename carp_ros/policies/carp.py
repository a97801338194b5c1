"""CARP: tokens of one scale after the other, coarse to fine, each scale in one pass.

Source: "CARP: Visuomotor Policy Learning via Coarse-to-Fine Autoregressive Prediction" (2024). The
networks are compiled graphs; what is here is the loop around them. After each scale there is a
whole trajectory, so that a loop that is short of time can stop early.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from carp_ros.inference.bundle import Manifest, Tensor, image_name
from carp_ros.inference.observation import Image
from carp_ros.inference.preprocess import image_input, policy_inputs
from carp_ros.inference.session import Run
from carp_ros.policies.carp_passes import CarpPasses
from carp_ros.policies.latency import RollingQuantile
from carp_ros.policies.policy import (
    Prediction,
    StageSeconds,
    beyond_training,
    chunk_from_actions,
)
from carp_ros.types import Array, Observation

_PESSIMISM = 0.9  # this quantile of recent times is what a stage is expected to take
_RECENT = 20
_COLD = 2
_TRUST = 0.95  # an old measurement counts this much less with each time that it was decisive


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the graphs say.

    Attributes:
        actions: Of shape (H, 10).
        tokens: Of all scales that were run, of shape (N,), int64.
        log_likelihood: Sum over these tokens.
        scales_done: How many scales were run.
        vision_s: How long it took to look at the images, and to tell the scales of it.
        decode_s: How long scales and decoder took.
    """

    actions: Array
    tokens: Tensor
    log_likelihood: float
    scales_done: int
    vision_s: float
    decode_s: float


class CarpPolicy:
    """Runs a CARP bundle.

    Args:
        manifest: Of the bundle.
        passes: Its graphs.
        task: Number of the task.
        now_ns: The clock that deadlines are given by.
        last_scale: Stop after this scale, from 0, always; None for the finest.

    Raises:
        ValueError: If there is no such scale.
    """

    def __init__(
        self,
        manifest: Manifest,
        passes: CarpPasses,
        task: int,
        now_ns: Callable[[], int],
        last_scale: int | None = None,
    ) -> None:
        self.manifest = manifest
        count = len(manifest.scales)
        if last_scale is not None and not 0 <= last_scale < count:
            raise ValueError(f"last scale is {last_scale}; expected 0 to {count - 1}")
        self._task = task
        self._now_ns = now_ns
        self._last = count - 1 if last_scale is None else last_scale
        self._passes = passes
        self._scales = [_Stopwatch(now_ns) for _ in range(count)]
        self._decoder = _Stopwatch(now_ns)
        self._seen_ns: dict[str, int] = {}
        """Capture times of images whose features are there, and were not used yet."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that it sees with."""
        return tuple(self.manifest.cameras)

    def see(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Look at an image that the policy is likely to be asked about soon.

        If the next observation has it, `infer` need not: it is faster by as much.

        Args:
            camera: Which.
            stamp_ns: When it was captured.
            image: RGB of shape (H, W, 3).

        Raises:
            DeviceError: If the runtime fails.
        """
        self._seen_ns.pop(camera, None)
        size = self.manifest.cameras[camera]
        self._passes.write({image_name(camera): image_input(image, size)})
        self._passes.see[camera]()
        self._seen_ns[camera] = stamp_ns

    def infer(self, observation: Observation, deadline_ns: int | None = None) -> Prediction:
        """Return the plan for an observation; coarser than it could be if a deadline demands it.

        Args:
            observation: Of one moment.
            deadline_ns: When the plan shall be there, by the clock `now_ns`; the coarsest scale
                is run whatever the time.

        Raises:
            PolicyError: If there is no plan that an arm could follow.
            DeviceError: If the runtime fails.
        """
        begin_ns = self._now_ns()
        stamps_ns, seen_ns = observation.image_stamps_ns, self._seen_ns
        unseen = [name for name in self.cameras if seen_ns.get(name) != stamps_ns.get(name, -1)]
        seen_ns.clear()  # stamps tell images apart within one run of a clock, and no longer
        inputs = policy_inputs(observation, self.manifest, self._task, unseen)
        preprocess_s = (self._now_ns() - begin_ns) * 1e-9
        decoded = self.decode(inputs, deadline_ns)
        return Prediction(
            chunk_from_actions(decoded.actions, observation.stamp_ns, self.manifest.step_s),
            decoded.log_likelihood / max(1, len(decoded.tokens)),
            decoded.scales_done,
            len(self.manifest.scales),
            StageSeconds(preprocess_s, decoded.vision_s, decoded.decode_s),
            beyond_training(inputs["state"][0].astype(np.float64), self.manifest.state),
            len(self.cameras) - len(unseen),
        )

    def decode(self, inputs: Mapping[str, Tensor], deadline_ns: int | None = None) -> Decoded:
        """Return what the graphs say to inputs, and to what was there before of those left out.

        Raises:
            DeviceError: If the inputs are not what the policy takes, or the runtime fails.
        """
        passes, begin_ns = self._passes, self._now_ns()
        passes.write(inputs)
        for camera, see in passes.see.items():
            if image_name(camera) in inputs:
                see()
        passes.condition()
        seen_ns = self._now_ns()
        done = 0
        while done <= self._last and (done == 0 or self._fits(done, deadline_ns)):
            self._scales[done].time(passes.scales[done])
            done += 1
        self._decoder.time(passes.decode[done - 1])
        return Decoded(
            passes.actions[0].astype(np.float64),
            np.concatenate([passes.tokens(k) for k in range(done)]),
            sum(passes.log_likelihood(k) for k in range(done)),
            done,
            (seen_ns - begin_ns) * 1e-9,
            (self._now_ns() - seen_ns) * 1e-9,
        )

    def _fits(self, k: int, deadline_ns: int | None) -> bool:
        """Tell whether scale k and then the decoder can be expected to be done in time."""
        if deadline_ns is None:
            return True
        needed_s = self._scales[k].expected_s + self._decoder.expected_s
        if self._now_ns() + needed_s * 1e9 <= deadline_ns:
            return True
        # what made it slow may be over; without this nobody would ever try again
        for scale in self._scales[k : self._last + 1]:
            scale.doubt()
        return False


class _Stopwatch:
    """Knows how long a stage takes."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._recent = RollingQuantile(_PESSIMISM, _RECENT, _COLD)
        self._doubts = 0

    def time(self, run: Run) -> None:
        """Do it, and take note of how long it takes."""
        begin_ns = self._now_ns()
        run()
        if self._doubts:
            self._doubts = 0
            self._recent.forget()
        self._recent.add((self._now_ns() - begin_ns) * 1e-9)

    @property
    def expected_s(self) -> float:
        """How long it will take; nothing while that is unknown."""
        return (self._recent.value or 0.0) * _TRUST**self._doubts

    def doubt(self) -> None:
        self._doubts += 1
