"""Graphs to ONNX files, with names of inputs and outputs and static shapes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_OPSET = 20  # the first with an operator for GELU


class Exported(NamedTuple):
    """What a graph makes of its example."""

    outputs: dict[str, Tensor]
    """By name."""
    flops: int
    """Multiplications and additions of its products and convolutions."""


@torch.no_grad()
def export_onnx(
    graph: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path
) -> Exported:
    """Write a module as an ONNX file and return what it computes from the example.

    Args:
        graph: The module; its arguments are positional, in the order of `inputs`.
        inputs: An example, by name; the shapes are the graph's.
        outputs: Names, in the order in which the module returns them.
        path: Of the file.
    """
    graph = graph.eval()
    arguments = tuple(inputs.values())
    with FlopCounterMode(display=False) as counter:
        found = graph(*arguments)
    with warnings.catch_warnings():
        # The tracer warns of every Python number that becomes a constant; here all are meant to.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            arguments,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=_OPSET,
            dynamo=False,
        )
    found = found if isinstance(found, tuple) else (found,)
    return Exported(dict(zip(outputs, found)), counter.get_total_flops())
