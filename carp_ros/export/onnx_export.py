"""Exports modules to ONNX files with named inputs and outputs and static shapes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_OPSET = 20  # the first with an operator for GELU


@torch.no_grad()
def export_onnx(
    graph: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path
) -> int:
    """Write a module as an ONNX file; return its FLOPs (of products and convolutions).

    Args:
        graph: The module; its arguments are positional, in the order of `inputs`.
        inputs: Example inputs by name, which determine the shapes.
        outputs: Names, in the order in which the module returns them.
        path: Of the file.
    """
    graph = graph.eval()
    arguments = tuple(inputs.values())
    with FlopCounterMode(display=False) as counter:
        graph(*arguments)
    with warnings.catch_warnings():
        # The tracer warns about every Python number that becomes a constant; here all should.
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
    return counter.get_total_flops()
