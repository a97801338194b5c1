"""From a bundle's folder to a policy that is known to compute what its trainer computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.geometry import rotation_between
from carp_ros.inference.bundle import Bundle, load_bundle
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.inference.session import Runtime
from carp_ros.policies.carp import CarpPolicy
from carp_ros.policies.carp_passes import CarpPasses
from carp_ros.policies.policy import chunk_from_actions
from carp_ros.refusal import in_words, refusing
from carp_ros.types import Chunk

_WARM_UP = 5


def load_policy(
    folder: Path,
    task: str,
    now_ns: Callable[[], int],
    *,
    runtime: Runtime | None = None,
    last_scale: int | None = None,
) -> CarpPolicy:
    """Return the policy of a bundle: checked, compared with its golden case, and warm.

    Args:
        folder: Of the bundle.
        task: Which of its tasks.
        now_ns: The clock that deadlines will be given by.
        runtime: Computes the graphs; None for ONNX Runtime with one thread of the CPU.
        last_scale: Stop after this scale, from 0, always; None for the finest.

    Raises:
        ValueError: If anything in the bundle is not as it should be, or it computes something else
            on this machine.
        DeviceError: If the runtime is not here.
    """
    bundle = load_bundle(folder)
    number = bundle.task_number(task)
    passes = _passes(bundle, runtime or OnnxRuntime())
    check_golden(bundle, CarpPolicy(bundle.manifest, passes, number, now_ns))
    policy = CarpPolicy(bundle.manifest, passes, number, now_ns, last_scale)
    golden = bundle.golden()
    inputs = {name: golden[name] for name in bundle.input_names}
    for _ in range(_WARM_UP):
        policy.decode(inputs)
    return policy


def _passes(bundle: Bundle, runtime: Runtime) -> CarpPasses:
    """Return the graphs, bound; what any library says of their insides is about this bundle."""
    try:
        return CarpPasses(bundle, runtime)
    except DeviceError:
        raise  # of the runtime: the bundle may be right
    except Exception as error:
        problem = in_words(error)
    raise ValueError(f"bundle {bundle.name}: its graphs don't fit, export anew: {problem}")


def check_golden(bundle: Bundle, policy: CarpPolicy) -> None:
    """Refuse a bundle that computes something else on this runtime than on its trainer's.

    Args:
        bundle: Has the golden case.
        policy: Runs all scales of the bundle.

    Raises:
        ValueError: If a step is farther off than the manifest allows, or nothing comes out.
    """
    golden = bundle.golden()
    manifest, limits = bundle.manifest, bundle.manifest.golden
    expected_shape = (manifest.horizon, len(manifest.action.names))
    if golden["actions"].shape != expected_shape:
        raise ValueError(
            f"{bundle.folder / limits.file}: actions have shape {golden['actions'].shape};"
            f" expected {expected_shape}: export anew"
        )
    with refusing(ValueError, f"bundle {bundle.name} can't compute its golden case, export anew"):
        decoded = policy.decode({name: golden[name] for name in bundle.input_names})
        computed = chunk_from_actions(decoded.actions, 0, manifest.step_s)
        expected = chunk_from_actions(golden["actions"].astype(np.float64), 0, manifest.step_s)
    for what, off, limit in (
        ("position [m]", _position_error_m(computed, expected), limits.position_tolerance_m),
        ("rotation [rad]", _rotation_error_rad(computed, expected), limits.rotation_tolerance_rad),
        (
            "gripper",
            float(np.abs(decoded.actions[:, 9] - golden["actions"][:, 9]).max()),
            limits.gripper_tolerance,
        ),
    ):
        if not off <= limit:
            raise ValueError(
                f"bundle {bundle.name} computes its golden case {off:.4g} off in {what}; expected"
                f" {limit:.4g} at most: this runtime or its provider is not the trainer's; export"
                " anew, or choose another provider"
            )


def _position_error_m(computed: Chunk, expected: Chunk) -> float:
    return float(np.linalg.norm(computed.positions - expected.positions, axis=1).max())


def _rotation_error_rad(computed: Chunk, expected: Chunk) -> float:
    pairs = zip(computed.quaternions, expected.quaternions)
    return max(float(np.linalg.norm(rotation_between(a, b))) for a, b in pairs)
