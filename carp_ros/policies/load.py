"""Loads a policy from a bundle and checks that it computes what its trainer computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from carp_ros.geometry import rotation_between
from carp_ros.inference.bundle import Bundle, load_bundle
from carp_ros.inference.layout import VectorLayout, tcp_pose_from_vector
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.inference.session import Runtime
from carp_ros.policies.carp import load_carp
from carp_ros.policies.faster import load_faster
from carp_ros.policies.plan import PlanReader
from carp_ros.policies.policy import Policy
from carp_ros.policies.regression import load_regression
from carp_ros.refusal import refusing
from carp_ros.rig import Rig
from carp_ros.types import Array

_WARM_UP = 5


class Loader(Protocol):
    """Loads the policy of a bundle of one kind."""

    def __call__(
        self,
        bundle: Bundle,
        runtime: Runtime,
        now_ns: Callable[[], int],
        options: Mapping[str, Any],
        rig: Rig | None,
    ) -> Policy:
        """Return the policy; raise ValueError if the bundle or an option is invalid."""
        ...


KINDS: dict[str, Loader] = {
    "carp": load_carp,
    "regression": load_regression,
    "faster": load_faster,
}
"""Loaders by kind of policy."""


def load_policy(
    folder: Path,
    task: str,
    now_ns: Callable[[], int],
    *,
    runtime: Runtime | None = None,
    options: Mapping[str, Any] | None = None,
    rig: Rig | None = None,
) -> Policy:
    """Load a policy, check it against its golden case, and warm it up.

    Args:
        folder: Of the bundle.
        task: One of its tasks; empty for the only one.
        now_ns: The clock of deadlines.
        runtime: Runs the graphs; None for ONNX Runtime on one CPU thread.
        options: Of this kind of policy, see its loader.
        rig: The rig to move; only needed by policies with joint actions.

    Raises:
        ValueError: If anything in the bundle is invalid, or its results differ on this machine.
        DeviceError: If the runtime is not available.
    """
    bundle = load_bundle(folder)
    spec = bundle.spec
    if spec.kind not in KINDS:
        raise ValueError(
            f"bundle {bundle.name} is of kind {spec.kind!r}; expected {', '.join(KINDS)}"
        )
    task = spec.task_named(task)
    policy = KINDS[spec.kind](bundle, runtime or OnnxRuntime(), now_ns, options or {}, rig)
    check_golden(bundle, policy)
    golden = bundle.golden()
    inputs = {name: golden[name] for name in bundle.input_names}
    for _ in range(_WARM_UP):
        policy.replay(inputs)
    policy.reset(task)
    return policy


def check_golden(bundle: Bundle, policy: Policy) -> None:
    """Raise if a bundle computes something else on this runtime than on its trainer's.

    Args:
        bundle: Contains the golden case.
        policy: The bundle's policy.

    Raises:
        ValueError: If a step's error exceeds the manifest's tolerance, or the policy fails.
    """
    golden = bundle.golden()
    spec, limits = bundle.spec, bundle.manifest.golden
    expected_shape = (spec.horizon, len(spec.action))
    if golden["actions"].shape != expected_shape:
        raise ValueError(
            f"{bundle.folder / limits.file}: actions have shape {golden['actions'].shape};"
            f" expected {expected_shape}: export again"
        )
    with refusing(ValueError, f"bundle {bundle.name} can't compute its golden case, export again"):
        expected = golden["actions"].astype(np.float64)
        computed = policy.replay({name: golden[name] for name in bundle.input_names})
        for actions in (computed, expected):  # raises if not finite or not rotations
            PlanReader(spec.action, spec.step_s).chunk(actions, 0)
        deviations = _deviations(bundle, computed, expected)
    for what, off, limit in deviations:
        if not off <= limit:
            raise ValueError(
                f"bundle {bundle.name} computes its golden case {off:.4g} off in {what}; expected"
                f" {limit:.4g} at most: this runtime or its provider computes differently; export"
                " again, or choose another provider"
            )


def _deviations(bundle: Bundle, computed: Array, expected: Array) -> list[tuple[str, float, float]]:
    """Return error and tolerance of each part of the actions."""
    layout, limits = bundle.manifest.action, bundle.manifest.golden
    off = np.abs(computed - expected)
    if layout.kind == "tool":
        position_m = float(np.linalg.norm((computed - expected)[:, :3], axis=1).max())
        return [
            ("position [m]", position_m, limits.position_tolerance_m),
            (
                "rotation [rad]",
                _rotation_error_rad(computed, expected),
                limits.rotation_tolerance_rad,
            ),
            ("gripper", float(off[:, -1].max()), limits.gripper_tolerance),
        ]
    if layout.kind == "joints":
        return [
            ("joints [rad]", float(off[:, :-1].max()), limits.joint_tolerance_rad),
            ("gripper", float(off[:, -1].max()), limits.gripper_tolerance),
        ]
    shares = off.max(axis=0) / _spans(layout)
    worst = int(np.argmax(shares))
    return [
        (f"{layout.names[worst]}, of its range", float(shares[worst]), limits.share_tolerance),
    ]


def _spans(layout: VectorLayout) -> Array:
    """Return the range of each number in training; 1 for those that never changed."""
    spans = np.array(layout.high) - np.array(layout.low)
    return np.where(spans > 0.0, spans, 1.0)


def _rotation_error_rad(computed: Array, expected: Array) -> float:
    turns = [tcp_pose_from_vector(vector)[0].quaternion for vector in (*computed, *expected)]
    pairs = zip(turns[: len(computed)], turns[len(computed) :])
    return max(float(np.linalg.norm(rotation_between(a, b))) for a, b in pairs)
