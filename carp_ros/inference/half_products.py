"""Half precision for TensorRT, for products with weights only.

TensorRT-RTX computes each layer in the types of the network, and our graphs are float32 throughout.
Here, products with weights and convolutions become float16: nearly all of the arithmetic and memory
traffic. Norms, softmax, attention's own products (whose operands are scaled by up to 100) and the
logits stay in float32. On Turing, TensorRT-RTX has no float32 product: there every product is
float16, and only what follows it is float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

_BETWEEN = ("ELEMENTWISE", "SHUFFLE", "CAST", "IDENTITY", "SQUEEZE", "UNSQUEEZE")
"""Layers that may be between the logits' product and the argmax."""


def halve_products(trt: Any, network: Any, *, every: bool) -> list[np.ndarray]:
    """Convert products with weights, and convolutions, to float16.

    Args:
        trt: The module `tensorrt_rtx`.
        network: Parsed, strongly typed, float32.
        every: Also convert all other products.

    Returns:
        The float16 weights, which must outlive the network.
    """
    return _Rewriter(trt, network, every=every).weights


class _Rewriter:
    """Rewrites one network."""

    def __init__(self, trt: Any, network: Any, *, every: bool) -> None:
        self._trt, self._network = trt, network
        self.weights: list[np.ndarray] = []
        layers = [network.get_layer(i) for i in range(network.num_layers)]
        self._maker = {output.name: layer for layer in layers for output in _outputs(layer)}
        self._takers: dict[str, list[tuple[Any, int]]] = defaultdict(list)
        for layer in layers:
            for i, tensor in _inputs(layer):
                self._takers[tensor.name].append((layer, i))
        logits = {layer.name for layer in self._logits(layers)}
        for layer in layers:
            kind = layer.type.name
            if kind in ("CONVOLUTION", "DECONVOLUTION"):
                self._halve_convolution(layer)
            elif kind == "MATRIX_MULTIPLY" and (
                every or (layer.name not in logits and self._has_weights(layer))
            ):
                self._halve_inputs(layer)
                self._widen(layer)

    def _logits(self, layers: list[Any]) -> Iterator[Any]:
        """Yield the products that compute logits, those that an argmax follows."""
        waiting = [tensor for x in layers if x.type.name == "TOPK" for _, tensor in _inputs(x)]
        while waiting:
            maker = self._maker.get(waiting.pop().name)
            if maker is None:
                continue
            if maker.type.name == "MATRIX_MULTIPLY":
                yield maker
            elif maker.type.name in _BETWEEN:
                waiting += [tensor for _, tensor in _inputs(maker)]

    def _has_weights(self, layer: Any) -> bool:
        makers = [self._maker.get(tensor.name) for _, tensor in _inputs(layer)]
        return any(maker is not None and maker.type.name == "CONSTANT" for maker in makers)

    def _halve_convolution(self, layer: Any) -> None:
        kind = "IConvolutionLayer" if layer.type.name == "CONVOLUTION" else "IDeconvolutionLayer"
        convolution = self._as(layer, kind)
        # kernel and bias are either weights of the layer or inputs
        if np.size(convolution.kernel):
            convolution.kernel = self._half(convolution.kernel)
        if np.size(convolution.bias):
            convolution.bias = self._half(convolution.bias)
        self._halve_inputs(layer)
        self._widen(layer)

    def _halve_inputs(self, layer: Any) -> None:
        for i, tensor in _inputs(layer):
            maker = self._maker.get(tensor.name)
            if maker is not None and maker.type.name == "CONSTANT":
                half = self._half(self._as(maker, "IConstantLayer").weights)
                halved = self._network.add_constant(tuple(tensor.shape), half)
            else:
                halved = self._network.add_cast(tensor, self._trt.float16)
            layer.set_input(i, halved.get_output(0))

    def _half(self, weights: Any) -> Any:
        half = np.ascontiguousarray(weights, np.float16)
        self.weights.append(half)
        return self._trt.Weights(half)

    def _widen(self, layer: Any) -> None:
        """Cast a layer's output back to float32 for all its consumers."""
        output = layer.get_output(0)
        if output.is_network_output:
            raise ValueError(f"{layer.name} gives an output itself; expected something after it")
        wide = self._network.add_cast(output, self._trt.float32).get_output(0)
        for taker, i in self._takers[output.name]:
            taker.set_input(i, wide)

    def _as(self, layer: Any, kind: str) -> Any:
        """Cast a layer to its own class; the network returns it as the base class."""
        layer.__class__ = getattr(self._trt, kind)
        return layer


def _inputs(layer: Any) -> list[tuple[int, Any]]:
    inputs = [(i, layer.get_input(i)) for i in range(layer.num_inputs)]
    return [(i, tensor) for i, tensor in inputs if tensor is not None]


def _outputs(layer: Any) -> list[Any]:
    return [layer.get_output(i) for i in range(layer.num_outputs)]
