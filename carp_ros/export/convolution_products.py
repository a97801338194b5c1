"""Rewrites convolutions as matrix products, for runtimes whose products are faster.

Each output position becomes a row with the inputs under the kernel, and the kernel becomes a matrix
(im2col). The batch size is 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def convolutions_to_products(model: onnx.ModelProto, least_inputs: int) -> list[str]:
    """Replace convolutions in a graph; return the names of the products.

    Args:
        model: With all its weights and with static shapes; changed in place.
        least_inputs: Convolutions with fewer inputs under their kernel are left as they are.
    """
    graph = model.graph
    shapes = _shapes(model)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    found: list[str] = []
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        kernel = weights.get(node.input[1]) if node.op_type == "Conv" else None
        wanted = kernel is not None and np.prod(kernel.dims[1:]) >= least_inputs
        if kernel is None or not wanted or not _is_plain(node):
            nodes.append(node)
            continue
        matrix = numpy_helper.to_array(kernel).transpose(2, 3, 1, 0)
        graph.initializer.append(
            numpy_helper.from_array(
                np.ascontiguousarray(matrix.reshape(-1, matrix.shape[3])), f"{node.name}_matrix"
            )
        )
        nodes += _product(graph, node, matrix.shape[:2], shapes[node.output[0]])
        found.append(f"{node.name}_product")
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    left = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(left)
    return found


def _product(
    graph: onnx.GraphProto, node: onnx.NodeProto, kernel: tuple[int, ...], shape: list[int]
) -> Iterator[onnx.NodeProto]:
    """Yield the nodes that replace a convolution.

    Args:
        graph: Receives the constants.
        node: The convolution.
        kernel: Its height and width.
        shape: Of its output, (1, C, h, w).
    """
    name, settings = node.name, _settings(node)
    _, channels, height, width = shape
    top, left, bottom, right = settings["pads"]
    down, along = settings["strides"]

    def constant(what: str, numbers: list[int]) -> str:
        array = np.array(numbers, np.int64)
        graph.initializer.append(numpy_helper.from_array(array, f"{name}_{what}"))
        return f"{name}_{what}"

    pads = constant("pads", [0, top, left, 0, 0, bottom, right, 0])
    axes, steps = constant("axes", [1, 2]), constant("steps", [down, along])
    yield helper.make_node("Transpose", [node.input[0]], [f"{name}_last"], perm=[0, 2, 3, 1])
    yield helper.make_node("Pad", [f"{name}_last", pads], [f"{name}_padded"])
    parts: list[str] = []
    for y, x in product(range(kernel[0]), range(kernel[1])):
        part = f"{name}_{y}_{x}"
        ends = [y + down * (height - 1) + 1, x + along * (width - 1) + 1]
        begin, end = constant(f"{y}_{x}_begin", [y, x]), constant(f"{y}_{x}_end", ends)
        yield helper.make_node("Slice", [f"{name}_padded", begin, end, axes, steps], [part])
        parts.append(part)
    rows = constant("row_shape", [height * width, -1])
    yield helper.make_node("Concat", parts, [f"{name}_covered"], axis=3)
    yield helper.make_node("Reshape", [f"{name}_covered", rows], [f"{name}_rows"])
    inputs, outputs = [f"{name}_rows", f"{name}_matrix"], [f"{name}_found"]
    yield helper.make_node("MatMul", inputs, outputs, name=f"{name}_product")
    yield helper.make_node("Transpose", outputs, [f"{name}_first"], perm=[1, 0])
    whole = constant("whole_shape", [1, channels, height, width])
    yield helper.make_node("Reshape", [f"{name}_first", whole], [node.output[0]])


def _is_plain(node: onnx.NodeProto) -> bool:
    """Return whether a convolution has one group, no dilation and no bias."""
    settings = _settings(node)
    return (
        settings.get("group", 1) == 1
        and set(settings.get("dilations", [1])) == {1}
        and len(node.input) == 2
    )


def _settings(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
