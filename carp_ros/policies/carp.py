"""The CARP policy: generates tokens coarse to fine, one scale per pass.

Source: "CARP: Visuomotor Policy Learning via Coarse-to-Fine Autoregressive Prediction" (2024). The
networks are compiled graphs; this module is the loop around them. Every scale yields a complete
trajectory, so that decoding can stop early to keep a deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from carp_ros.inference.bundle import Bundle, Tensor
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import PolicySpec
from carp_ros.inference.preprocess import policy_inputs
from carp_ros.inference.session import Runtime, write_inputs
from carp_ros.policies.anytime import Anytime
from carp_ros.policies.carp_passes import CarpPasses
from carp_ros.policies.carp_section import carp_section
from carp_ros.policies.commitment import Commitment
from carp_ros.policies.encoded_images import EncodedImages
from carp_ros.policies.graphs import graph_errors, require_one_observation, require_options
from carp_ros.policies.plan import PlanReader
from carp_ros.policies.policy import VISION, Prediction, beyond_training
from carp_ros.rig import Rig
from carp_ros.types import Array, Chunk, Observation


@dataclass(frozen=True, slots=True)
class Decoded:
    """Result of the graphs.

    Attributes:
        actions: Of shape (H, A).
        tokens: Of all scales that were run, of shape (N,), int64.
        log_likelihood: Sum over these tokens.
        scales_done: Number of scales that were run.
        vision_s: Duration of encoding images and computing the condition.
        decode_s: Duration of scales and decoder.
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
        spec: Of the bundle.
        passes: Its graphs.
        now_ns: The clock of deadlines.
        last_scale: Always stop after this scale, counted from 0; None for the finest.
        commitment: What of the last plan to go on with; None for a policy that can't be told.
        rig: For the forward kinematics of joint actions.

    Raises:
        ValueError: If there is no such scale.
    """

    def __init__(
        self,
        spec: PolicySpec,
        passes: CarpPasses,
        now_ns: Callable[[], int],
        last_scale: int | None = None,
        rig: Rig | None = None,
        commitment: Commitment | None = None,
    ) -> None:
        self.spec = spec
        self._commitment = commitment or Commitment(spec.step_s, 0, len(spec.action))
        count = len(passes.scales)
        if last_scale is not None and not 0 <= last_scale < count:
            raise ValueError(f"last_scale is {last_scale}; expected 0 to {count - 1}")
        self._task = 0
        self._now_ns = now_ns
        self._last = count - 1 if last_scale is None else last_scale
        self._passes = passes
        self._plans = PlanReader(spec.action, spec.step_s, rig)
        self._anytime = Anytime(now_ns, count)
        self._images = EncodedImages(spec.cameras, passes.inputs, passes.encoders)

    def reset(self, task: str, instruction: str = "") -> None:
        """Start an episode of a task; see `Policy.reset`."""
        self._task = self.spec.task_number(task)
        self._images.forget()
        self._commitment.forget()

    def encode_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Encode an image that the policy is likely to be asked about soon.

        If it is part of the next observation, `infer` skips its encoding.

        Args:
            camera: Its name.
            stamp_ns: Capture time.
            image: RGB of shape (H, W, 3).

        Raises:
            DeviceError: If the runtime fails.
        """
        self._images.encode(camera, stamp_ns, image)

    def infer(
        self, observations: Sequence[Observation], deadline_ns: int | None = None
    ) -> Prediction:
        """Return the plan for an observation; with a deadline, perhaps without the finest scales.

        The coarsest scale is always run; see `Policy.infer`.
        """
        begin_ns, cameras = self._now_ns(), self.spec.cameras
        observation = observations[-1]
        to_encode = self._images.missing(observation.image_stamps_ns)
        inputs = policy_inputs(observations, self.spec, self._task, to_encode)
        state = inputs["state"][0].astype(np.float64)
        inputs |= self._commitment.inputs(observation.stamp_ns, state)
        preprocess_s = (self._now_ns() - begin_ns) * 1e-9
        decoded = self.decode(inputs, deadline_ns)
        self._commitment.offer(decoded.actions, observation.stamp_ns)
        return Prediction(
            observation.stamp_ns,
            decoded.actions,
            self._plans.chunk(decoded.actions, observation.stamp_ns),
            {"preprocess": preprocess_s, VISION: decoded.vision_s, "decode": decoded.decode_s},
            {
                "confidence": decoded.log_likelihood / max(1, len(decoded.tokens)),
                "scales_done": decoded.scales_done,
            },
            decoded.scales_done < len(self._passes.scales),
            beyond_training(state, self.spec.state),
            len(cameras) - len(to_encode),
        )

    def followed(self, stamp_ns: int, late_ns: int) -> None:
        """Remember what the arm goes on with."""
        self._commitment.followed(stamp_ns, late_ns)

    def executed(self, chunk: Chunk) -> None:
        """Do nothing: plans depend on observations and on the last plan."""

    def replay(self, inputs: Mapping[str, Tensor]) -> Array:
        """Return the actions for inputs of the graphs; see `Policy.replay`."""
        nothing = self._commitment.no_inputs(inputs["state"][0].astype(np.float64))
        return self.decode({**inputs, **nothing}, last=len(self._passes.scales) - 1).actions

    def decode(
        self,
        inputs: Mapping[str, Tensor],
        deadline_ns: int | None = None,
        last: int | None = None,
    ) -> Decoded:
        """Run the graphs on `inputs`; inputs that are not given keep their previous values.

        Args:
            inputs: Some or all inputs of the graphs, by name.
            deadline_ns: Skip the finest scales that are not expected to be done by then.
            last: The last scale to run; None: the policy's.

        Raises:
            DeviceError: If the inputs are not what the policy takes, or the runtime fails.
        """
        passes, begin_ns = self._passes, self._now_ns()
        last = self._last if last is None else last
        write_inputs(passes.inputs, inputs)
        self._images.run(inputs)
        passes.condition()
        seen_ns = self._now_ns()
        done = self._anytime.run(passes.scales, passes.decode, last, deadline_ns)
        return Decoded(
            passes.actions.read()[0].astype(np.float64),
            np.concatenate([passes.tokens(k) for k in range(done)]),
            sum(passes.log_likelihood(k) for k in range(done)),
            done,
            (seen_ns - begin_ns) * 1e-9,
            (self._now_ns() - seen_ns) * 1e-9,
        )


def load_carp(
    bundle: Bundle,
    runtime: Runtime,
    now_ns: Callable[[], int],
    options: Mapping[str, Any],
    rig: Rig | None,
) -> CarpPolicy:
    """Load the policy of a CARP bundle.

    Args:
        bundle: The bundle.
        runtime: Runs its graphs.
        now_ns: The clock of deadlines.
        options: `last_scale`: always stop after this scale, counted from 0; `committed_steps`: how
            many steps of the last plan each plan goes on with, if the bundle can be told.
        rig: For the forward kinematics of joint actions.

    Raises:
        ValueError: If it is not a valid CARP bundle, or an option is unknown.
        DeviceError: If the runtime is not available.
    """
    section = carp_section(bundle)
    require_one_observation(bundle, "a CARP plan is made of one observation")
    require_options(options, ("committed_steps", "last_scale"), bundle.manifest.kind)
    with graph_errors(bundle):
        passes = CarpPasses(bundle, section, runtime)
    spec, most = bundle.spec, section.committed_steps
    commitment = Commitment(spec.step_s, most, len(spec.action), options.get("committed_steps"))
    return CarpPolicy(spec, passes, now_ns, options.get("last_scale"), rig, commitment)
