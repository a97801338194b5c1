"""Quantises products to 8 bits for CPUs; pays for wide transformers and ResNets.

Weights become int8 with one scale per output, reduced to 7 bits: on CPUs without VNNI, ONNX Runtime
adds pairs of uint8-int8 products in 16 bits, which would silently saturate with 8-bit weights.
Activations are quantised dynamically to uint8 with one scale. Everything else, including the
logits' product, stays in float32. ONNX Runtime quantises only products, so convolutions with many
inputs, whose weights exceed the caches, are rewritten as products first. Worth it at a width of 160
and for a ResNet; at a width of 64 it does not justify the loss of precision.
"""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from carp_ros.export.convolution_products import convolutions_to_products

_LEAST_INPUTS = 1000  # fewer than 128 channels under a 3 x 3 kernel: a convolution is as fast
_KEPT = ("head.",)
"""Name prefixes of weights that stay in float32: those of the logits."""


def quantize_products(path: Path) -> None:
    """Quantise the weight products of a graph to 8 bits, in place.

    Args:
        path: Of the ONNX file, which contains its weights.
    """
    model = onnx.load(path)
    names = convolutions_to_products(model, _LEAST_INPUTS)
    _turn_inputs(model.graph)
    linear = [node for node in model.graph.node if node.op_type == "Gemm"]
    # ONNX Runtime splits each into a product of that name and a sum
    names += [f"{node.name}_MatMul" for node in linear if not node.input[1].startswith(_KEPT)]
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # silences advice that only applies to convolutions
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
    """Replace transA of linear layers by a Transpose: 8-bit products have no such attribute."""
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
