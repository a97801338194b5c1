"""A CARP bundle made by hand, whose every answer can be told beforehand.

Three scales of 1, 2 and 4 positions. What is seen of an image is its brightness, and the state is
passed on. Scale k moves the latent towards the state, so that only all three together reach it; the
decoder reads the latent as a pose and drifts from there. How sure it is counts the keys that it was
given, so that a loop that passes on the wrong ones says the wrong thing.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from carp_ros.inference.layout import TOOL_NAMES, TOOL_UNITS
from carp_ros.policies.carp_section import graph_names

DIMENSIONS = len(TOOL_NAMES)
HORIZON = 16
STEP_S = 0.1
SCALES = (1, 2, 4)
LENGTH = 4
DRIFT_M = 0.004
"""How much farther along x each step lies than the one before."""
SHARES = (0.5, 0.3, 0.2)
"""How much of the way each scale goes."""
PER_KEY = -0.25
"""Log-likelihood of one key; a scale of n tokens adds n keys, and says that of all so far."""
SIZES = {
    "wrist_cam": {"width_px": 32, "height_px": 24},
    "third_cam": {"width_px": 32, "height_px": 24},
}

FLOAT, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8


def actions_for(state: np.ndarray, done: float = 1.0) -> np.ndarray:
    """Return the actions, (H, 10), that belong to a state when `done` of the way is gone."""
    actions = np.tile(done * state, (HORIZON, 1))
    actions[:, 0] += DRIFT_M * np.arange(HORIZON)
    return actions


def log_likelihood(scales_done: int) -> float:
    """Return the mean log-likelihood of a token when so many scales are done."""
    keys = np.cumsum([DIMENSIONS * length for length in SCALES[:scales_done]])
    return PER_KEY * float(keys.sum()) / float(keys[-1])


def write_tiny_bundle(folder: Path, tasks: tuple[str, ...] = ("cup",), **changes: Any) -> Path:
    """Write the bundle and return its folder; `changes` replace keys of the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for camera in SIZES:
        onnx.save(vision(camera), folder / f"vision_{camera}.onnx")
    onnx.save(condition(len(tasks) > 1), folder / "condition.onnx")
    for k in range(len(SCALES)):
        onnx.save(scale(k), folder / f"scale_{k}.onnx")
    onnx.save(decoder(), folder / "decoder.onnx")
    (folder / "weights.bin").write_bytes(b"")  # the graphs are small enough to hold their own
    state = np.array([0.45, 0.05, 0.3, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.25], np.float32)
    golden = {
        f"image_{name}": np.zeros((1, size["height_px"], size["width_px"], 3), np.uint8)
        for name, size in SIZES.items()
    }
    golden["task"] = np.array([0])
    tokens = np.concatenate([np.full(DIMENSIONS * n, k) for k, n in enumerate(SCALES)])
    np.savez(
        folder / "golden.npz",
        state=state[None],
        tokens=tokens,
        actions=actions_for(state),
        **golden,
    )
    write_manifest(folder, manifest(folder, tasks) | changes)
    return folder


def manifest(folder: Path, tasks: tuple[str, ...] = ("cup",)) -> dict[str, Any]:
    """Return what belongs into policy.yaml for the files that lie in the folder."""
    low = [0.1, -0.5, 0.0, *[-1.0] * 6, 0.0]
    high = [0.8, 0.5, 0.6, *[1.0] * 6, 1.0]
    facts = {"kind": "tool", "names": list(TOOL_NAMES), "units": list(TOOL_UNITS)}
    layout = {**facts, "low": low, "high": high}
    return {
        "format": 3,
        "kind": "carp",
        "tasks": list(tasks),
        "rig": "ur5e_sim",
        "horizon": HORIZON,
        "step_s": STEP_S,
        "execution_horizon": 2,
        "observation": {"reference": "wrist_cam"},
        "cameras": SIZES,
        "state": dict(layout),
        "action": dict(layout),
        "graphs": {name: entry(folder, f"{name}.onnx") for name in graph_names(SIZES, len(SCALES))},
        "weights": entry(folder, "weights.bin"),
        "golden": {
            **entry(folder, "golden.npz"),
            "position_tolerance_m": 0.001,
            "rotation_tolerance_rad": 0.005,
            "gripper_tolerance": 0.02,
        },
        "made": {"command": "by hand", "seed": 0},
        "carp": {"scales": list(SCALES)},
    }


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    (folder / "policy.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def entry(folder: Path, file: str) -> dict[str, str]:
    return {"file": file, "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest()}


def vision(camera: str) -> onnx.ModelProto:
    """features_<camera>: the mean brightness."""
    size, image, seen = SIZES[camera], f"image_{camera}", f"features_{camera}"
    shape = [1, size["height_px"], size["width_px"], 3]
    return model(
        [
            helper.make_node("Cast", [image], ["float"], to=FLOAT),
            helper.make_node("ReduceMean", ["float", "image_axes"], ["mean"]),
            helper.make_node("Reshape", ["mean", "one_number"], [seen]),
        ],
        [helper.make_tensor_value_info(image, UINT8, shape)],
        [(seen, FLOAT, [1, 1])],
        {"image_axes": np.array([1, 2, 3]), "one_number": np.array([1, 1])},
    )


def condition(several_tasks: bool = False) -> onnx.ModelProto:
    """modulation: the state, then the features of each camera. start: the task's number."""
    features = [f"features_{name}" for name in SIZES]
    nodes = [
        helper.make_node("Concat", ["state", *features], ["modulation"], axis=1),
        helper.make_node("Identity", ["nothing"], ["start"]),
    ]
    inputs = [helper.make_tensor_value_info(name, FLOAT, [1, 1]) for name in features]
    inputs.append(helper.make_tensor_value_info("state", FLOAT, [1, DIMENSIONS]))
    if several_tasks:
        inputs.append(helper.make_tensor_value_info("task", INT64, [1]))
        nodes[-1] = helper.make_node("Cast", ["task"], ["number"], to=FLOAT)
        nodes.append(helper.make_node("Add", ["nothing", "number"], ["start"]))
    return model(
        nodes,
        inputs,
        [
            ("modulation", FLOAT, [1, DIMENSIONS + len(SIZES)]),
            ("start", FLOAT, [1, DIMENSIONS * SCALES[0], 8]),
        ],
        {"nothing": np.zeros((1, DIMENSIONS * SCALES[0], 8), np.float32)},
    )


def scale(k: int) -> onnx.ModelProto:
    """Go a share of the way from nothing to the state; one key a token."""
    tokens = DIMENSIONS * SCALES[k]
    modulation = helper.make_tensor_value_info("modulation", FLOAT, [1, DIMENSIONS + len(SIZES)])
    past = DIMENSIONS * sum(SCALES[:k])
    cache_shape = [1, 1, 1, past, 2]
    latent_shape = [1, DIMENSIONS, 1, LENGTH]
    inputs = [modulation]
    nodes = [
        helper.make_node("Slice", ["modulation", "zero", "dimensions"], ["state"]),
        helper.make_node("Reshape", ["state", "column"], ["goal"]),
        helper.make_node("Mul", ["goal", "share"], ["step"]),
        helper.make_node("Expand", ["step", "latent_shape"], ["change"]),
    ]
    if k == 0:
        inputs.append(helper.make_tensor_value_info("start", FLOAT, [1, DIMENSIONS * SCALES[0], 8]))
        # a start that is not zero shifts everything
        nodes += [
            helper.make_node("ReduceMean", ["start"], ["latent"], keepdims=0),
            helper.make_node("Identity", ["new_keys"], ["next_keys"]),
            helper.make_node("Identity", ["new_keys"], ["next_values"]),
        ]
    else:
        inputs += [
            helper.make_tensor_value_info("latent", FLOAT, latent_shape),
            helper.make_tensor_value_info("keys", FLOAT, cache_shape),
            helper.make_tensor_value_info("values", FLOAT, cache_shape),
        ]
        nodes += [
            helper.make_node("Concat", ["keys", "new_keys"], ["next_keys"], axis=3),
            helper.make_node("Concat", ["values", "new_keys"], ["next_values"], axis=3),
        ]
    nodes += [
        helper.make_node("Add", ["latent", "change"], ["next_latent"]),
        helper.make_node("ReduceSum", ["next_keys"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "per_key"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "one"], ["log_likelihood"]),
        helper.make_node("Identity", ["all_tokens"], ["tokens"]),
    ]
    outputs = [
        ("next_latent", FLOAT, latent_shape),
        ("tokens", INT64, [1, tokens]),
        ("log_likelihood", FLOAT, [1]),
    ]
    if k < len(SCALES) - 1:
        shape = [1, 1, 1, past + tokens, 2]
        outputs += [("next_keys", FLOAT, shape), ("next_values", FLOAT, shape)]
    return model(
        nodes,
        inputs,
        outputs,
        {
            "zero": np.array([0, 0]),
            "dimensions": np.array([1, DIMENSIONS]),
            "one": np.array([1]),
            "column": np.array([1, DIMENSIONS, 1, 1]),
            "share": np.float32(SHARES[k]),
            "latent_shape": np.array(latent_shape),
            "new_keys": np.full((1, 1, 1, tokens, 2), 0.5, np.float32),
            "per_key": np.float32(PER_KEY),
            "all_tokens": np.full((1, tokens), k, np.int64),
        },
    )


def decoder() -> onnx.ModelProto:
    """Read the latent's mean as the pose and drift from there."""
    drift = np.zeros((1, HORIZON, DIMENSIONS), np.float32)
    drift[0, :, 0] = DRIFT_M * np.arange(HORIZON)
    return model(
        [
            helper.make_node("ReduceMean", ["latent", "axes"], ["pose"], keepdims=0),
            helper.make_node("Unsqueeze", ["pose", "one"], ["row"]),
            helper.make_node("Add", ["row", "drift"], ["actions"]),
        ],
        [
            helper.make_tensor_value_info("latent", FLOAT, [1, DIMENSIONS, 1, LENGTH]),
            helper.make_tensor_value_info("state", FLOAT, [1, DIMENSIONS]),
        ],
        [("actions", FLOAT, [1, HORIZON, DIMENSIONS])],
        {"axes": np.array([2, 3]), "one": np.array([1]), "drift": drift},
    )


def model(nodes, inputs, outputs, constants: dict[str, Any]) -> onnx.ModelProto:
    used = {name for node in nodes for name in node.input}
    tensors = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in constants.items()
        if name in used
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
