"""How far decoded chunks are from what was encoded, and how long coding takes."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.tokenizers.chunks import Chunks
from bench.tokenizers.contenders import coder
from carp_ros.networks.action_numbers import TOOL_NUMBERS, ActionNumbers, changes_kept
from carp_ros.networks.rotation_vectors import matrices_from_rot6d, vectors_from_matrices
from carp_ros.training.windows import Windows

WITHIN = (1e-3, 1e-2, 3e-2, 1e-1)
"""Of a step that counts as valid: in [m], in [rad], or of the sum of normalised errors."""

_QUANTILE = 0.01
_LEAST_S = 0.5  # that a time is measured over
_MOST_BATCHES = 64


def reference_of(chunks: Chunks) -> ActionNumbers:
    """Return the normalisation in which all tokenizers of the chunks are compared."""
    size = TOOL_NUMBERS if chunks.has_tool else len(chunks.data.action)
    numbers = ActionNumbers(size, chunks.has_tool, _QUANTILE)
    part = chunks.part(chunks.trained)
    numbers.fit(*tensors(part))
    return numbers


def tensors(part: Windows) -> tuple[Tensor, Tensor]:
    """Return the actions (M, H, A) and states (M, S) of windows."""
    return torch.from_numpy(part.actions), torch.from_numpy(part.states)


@torch.no_grad()
def errors_of(
    true: Tensor, back: Tensor, states: Tensor, reference: ActionNumbers, kind: str
) -> dict[str, float | None]:
    """Return how far decoded actions (M, H, A) are from the true ones, given states (M, S).

    Args:
        true: In SI units, not clamped.
        back: Decoded.
        states: Measured.
        reference: Normalises both alike.
        kind: Of the actions' layout.

    Returns:
        `error`: mean absolute error, normalised. The shares of steps, VRR: `sum_within_*` whose
        normalised errors add up to less; `position_within_*` whose distance [m] is less and
        `rotation_within_*` whose angle [rad] is less, of joints the largest angle; None where there
        are no such numbers. `position_error_m`, `rotation_error_rad`: means. `changes_kept`: share
        of the gripper's changes that are decoded, no more than a step off; None if it never
        changes. `gripper_wrong`: share of steps at which it is on the other side.
    """
    wanted, found = (reference.normalised(actions, states) for actions in (true, back))
    off = (wanted - found).abs()
    position = rotation = None
    if kind == "tool":
        position = (true[..., :3] - back[..., :3]).norm(dim=-1)
        turns = matrices_from_rot6d(true[..., 3:9]), matrices_from_rot6d(back[..., 3:9])
        rotation = vectors_from_matrices(turns[0] @ turns[1].transpose(-1, -2)).norm(dim=-1)
    elif kind == "joints":
        rotation = (true[..., :-1] - back[..., :-1]).abs().amax(dim=-1)
    figures: dict[str, float | None] = {
        "error": float(off.mean()),
        "position_error_m": None if position is None else float(position.mean()),
        "rotation_error_rad": None if rotation is None else float(rotation.mean()),
    }
    measured = {"sum": off.sum(dim=-1), "position": position, "rotation": rotation}
    for name, size in measured.items():
        for most in WITHIN:
            share = None if size is None else float((size < most).float().mean())
            figures[f"{name}_within_{most:g}"] = share
    return figures | _of_the_gripper(wanted[..., -1], found[..., -1])


def _of_the_gripper(wanted: Tensor, found: Tensor) -> dict[str, float | None]:
    closed = wanted > 0.0
    changes = bool((closed[:, 1:] != closed[:, :-1]).any())
    return {
        "changes_kept": float(changes_kept(torch.where(closed, 1, -1), found)) if changes else None,
        "gripper_wrong": float((closed != (found > 0.0)).float().mean()),
    }


@torch.no_grad()
def times_of(
    tokenizer: nn.Module, actions: Tensor, states: Tensor, least_s: float = _LEAST_S
) -> dict[str, float]:
    """Return the median times [us] to encode and to decode a chunk, in batches of 1 and of 256.

    Args:
        tokenizer: Any.
        actions: Of at least one chunk, (M, H, A); each batch takes other ones while there are any.
        states: Measured, (M, S).
        least_s: Over which each is measured.
    """
    encode, decode = coder(tokenizer)
    found: dict[str, float] = {}
    for size in (1, 256):
        times = -(-size // len(actions))  # where there are too few, they come again
        many = actions.repeat(times, 1, 1).split(size), states.repeat(times, 1).split(size)
        batches = [batch for batch in zip(*many) if len(batch[0]) == size][:_MOST_BATCHES]
        said = [(encode(*batch), batch[1]) for batch in batches]
        found[f"encode_us_{size}"] = _median_us(encode, batches, least_s) / size
        found[f"decode_us_{size}"] = _median_us(decode, said, least_s) / size
    return {name: round(value, 2) for name, value in found.items()}


def _median_us(
    call: Callable[..., Tensor], arguments: list[tuple[Tensor, Tensor]], least_s: float
) -> float:
    taken: list[float] = []
    while sum(taken) < least_s or len(taken) < 5:
        begin_s = time.perf_counter()
        call(*arguments[len(taken) % len(arguments)])
        taken.append(time.perf_counter() - begin_s)
    return 1e6 * float(torch.tensor(taken).median())
