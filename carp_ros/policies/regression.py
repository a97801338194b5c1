"""The regression policy: encodes images as they arrive and plans in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from carp_ros.inference.bundle import MANIFEST, Bundle, Tensor
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import PolicySpec
from carp_ros.inference.preprocess import policy_inputs
from carp_ros.inference.session import Runtime, write_inputs
from carp_ros.policies.encoded_images import EncodedImages
from carp_ros.policies.graph_wiring import GraphWiring
from carp_ros.policies.graphs import graph_errors, require_one_observation
from carp_ros.policies.plan import PlanReader
from carp_ros.policies.policy import VISION, Prediction, beyond_training
from carp_ros.rig import Rig
from carp_ros.strict import read_strictly
from carp_ros.types import Array, Chunk, Observation


@dataclass(frozen=True)
class RegressionSection:
    """The section `regression` of `policy.yaml`, which has no keys."""


class RegressionPolicy:
    """Runs a regression bundle; see `policy.Policy`.

    Args:
        bundle: The bundle.
        runtime: Runs its graphs.
        now_ns: The clock for timing stages.
        rig: For the forward kinematics of joint actions.

    Raises:
        ValueError: If graphs do not match each other or the manifest.
    """

    def __init__(
        self, bundle: Bundle, runtime: Runtime, now_ns: Callable[[], int], rig: Rig | None
    ) -> None:
        self.spec: PolicySpec = bundle.spec
        self._now_ns = now_ns
        self._plans = PlanReader(self.spec.action, self.spec.step_s, rig)
        self._task = 0
        wiring = GraphWiring(bundle, runtime)
        self._inputs = wiring.inputs
        self._plan, given = wiring.bind_from_outside(wiring.session("plan"), wiring.features)
        self._actions = given["actions"]
        wiring.require_actions("plan", self._actions.spec)
        self._images = EncodedImages(self.spec.cameras, self._inputs, wiring.encoders)

    def reset(self, task: str, instruction: str = "") -> None:
        """Start an episode of a task; see `Policy.reset`."""
        self._task = self.spec.task_number(task)
        self._images.forget()

    def encode_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Encode an image in advance; see `Policy.encode_image`."""
        self._images.encode(camera, stamp_ns, image)

    def infer(
        self, observations: Sequence[Observation], deadline_ns: int | None = None
    ) -> Prediction:
        """Return the plan for an observation; the deadline is ignored. See `Policy.infer`."""
        begin_ns, observation = self._now_ns(), observations[-1]
        to_encode = self._images.missing(observation.image_stamps_ns)
        inputs = policy_inputs(observations, self.spec, self._task, to_encode)
        prepared_ns = self._now_ns()
        self._encode_images(inputs)
        encoded_at_ns = self._now_ns()
        self._plan()
        actions = self._actions.read()[0].astype(np.float64)
        times_ns = (begin_ns, prepared_ns, encoded_at_ns, self._now_ns())
        seconds = [1e-9 * (after - before) for before, after in pairwise(times_ns)]
        return Prediction(
            observation.stamp_ns,
            actions,
            self._plans.chunk(actions, observation.stamp_ns),
            dict(zip(("preprocess", VISION, "decode"), seconds)),
            notes=beyond_training(inputs["state"][0].astype(np.float64), self.spec.state),
            encoded_ahead=len(self.spec.cameras) - len(to_encode),
        )

    def followed(self, stamp_ns: int, late_ns: int) -> None:
        """Do nothing: plans depend on observations only."""

    def executed(self, chunk: Chunk) -> None:
        """Do nothing: plans depend on observations only."""

    def replay(self, inputs: Mapping[str, Tensor]) -> Array:
        """Return the actions for inputs of the graphs; see `Policy.replay`."""
        self._encode_images(inputs)
        self._plan()
        return self._actions.read()[0].astype(np.float64)

    def _encode_images(self, inputs: Mapping[str, Tensor]) -> None:
        write_inputs(self._inputs, inputs)
        self._images.run(inputs)


def load_regression(
    bundle: Bundle,
    runtime: Runtime,
    now_ns: Callable[[], int],
    options: Mapping[str, Any],
    rig: Rig | None,
) -> RegressionPolicy:
    """Load the policy of a regression bundle.

    Raises:
        ValueError: If it is not a valid regression bundle, or an option is given.
        DeviceError: If the runtime is not available.
    """
    where = f"{bundle.folder / MANIFEST}"
    read_strictly(RegressionSection, bundle.section, f"{where}: regression")
    bundle.require_graphs((*(f"vision_{camera}" for camera in bundle.manifest.cameras), "plan"))
    require_one_observation(bundle, "a regression plans from one observation")
    if options:
        raise ValueError(f"{sorted(options)} is no option of a regression policy; it has none")
    with graph_errors(bundle):
        return RegressionPolicy(bundle, runtime, now_ns, rig)
