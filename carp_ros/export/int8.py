"""Products with weights in 8 bits, for CPUs: what a wide transformer and a ResNet spend time with.

Weights become int8 with a scale for each output, and take 7 of the 8 bits: where a CPU lacks VNNI,
ONNX Runtime adds products of uint8 and int8 in pairs in 16 bits, which two of the eighth would
exceed, and saturate unsaid. What they are multiplied with becomes uint8 as it comes, with one
scale. All else, the logits' product among it, stays in float32. ONNX Runtime has an
operator for products; convolutions of many inputs, whose weights are more than what caches hold,
are written as such. Pays at a width of 160 and for a ResNet; at 64 not worth the digits.
"""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from carp_ros.export.convolution_products import convolutions_to_products

_LEAST_INPUTS = 1000  # 128 channels under a kernel of 3 x 3; with fewer a convolution is as fast
_KEPT = ("head.",)
"""Beginnings of names of weights that stay as they are: those of the logits."""


def quantize_products(path: Path) -> None:
    """Write a graph anew with its products with weights in 8 bits.

    Args:
        path: Of the ONNX file, whose weights are in it.
    """
    model = onnx.load(path)
    names = convolutions_to_products(model, _LEAST_INPUTS)
    _turn_inputs(model.graph)
    linear = [node for node in model.graph.node if node.op_type == "Gemm"]
    # ONNX Runtime makes a product of that name, and a sum, of each
    names += [f"{node.name}_MatMul" for node in linear if not node.input[1].startswith(_KEPT)]
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
            reduce_range=True,
        )
    finally:
        root.setLevel(level)


def _turn_inputs(graph: onnx.GraphProto) -> None:
    """Let linear layers that turn what they are given have it turned: in 8 bits none turns."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        turns = [a for a in node.attribute if a.name == "transA" and a.i]
        if node.op_type == "Gemm" and turns:
            turned = f"{node.name}_turned"
            nodes.append(onnx.helper.make_node("Transpose", node.input[:1], [turned], perm=[1, 0]))
            node.input[0] = turned
            node.attribute.remove(turns[0])
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
