"""Products with weights in 8 bits, for CPUs: what a wide transformer spends its time with.

Weights become int8 with a scale for each output; what they are multiplied with becomes uint8 as it
comes, with one scale. All else, the logits' product among it, stays in float32. ONNX Runtime has an
operator for it. Half again as fast at a width of 160; at 64 not worth the digits.
"""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

_KEPT = ("head.",)
"""Beginnings of names of weights that stay as they are: those of the logits."""


def quantize_products(path: Path) -> None:
    """Write a graph anew with its products with weights in 8 bits.

    Args:
        path: Of the ONNX file, whose weights are in it.
    """
    model = onnx.load(path)
    linear = [node for node in model.graph.node if node.op_type == "Gemm"]
    # ONNX Runtime makes a product of that name, and a sum, of each
    names = [f"{node.name}_MatMul" for node in linear if not node.input[1].startswith(_KEPT)]
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends preparations that are for convolutions
    try:
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=names,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
    finally:
        root.setLevel(level)
