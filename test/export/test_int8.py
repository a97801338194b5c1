"""What becomes 8 bits of a graph, and what it costs there."""

import numpy as np
import onnx
import onnxruntime
import pytest

pytest.importorskip("torch", reason="exporting needs torch: pip install 'carp_ros[train]'")

import torch
from onnx import numpy_helper
from torch import nn

from carp_ros.export.int8 import quantize_products
from carp_ros.export.onnx_export import export_onnx


class Turned(nn.Module):
    """A linear layer of an input that lies turned."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(96, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.t())


def conv(channels: int) -> nn.Module:
    return nn.Conv2d(channels, 64, 3, padding=1, bias=False)


@pytest.mark.parametrize(
    ("module", "shape", "count"),
    [
        (conv(128), (1, 128, 7, 5), 1),
        (conv(64), (1, 64, 7, 5), 0),  # few enough inputs for a fast convolution
        (nn.Linear(96, 64), (20, 96), 1),
        (Turned(), (96, 20), 1),
    ],
)
def test_products_of_many_inputs_are_in_8_bits_and_nearly_the_same(tmp_path, module, shape, count):
    torch.manual_seed(0)
    x, path = torch.randn(shape), tmp_path / "graph.onnx"
    export_onnx(module, {"x": x}, ["y"], path)
    quantize_products(path)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("MatMulInteger") == count
    (y,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    expected = module.eval()(x).detach().numpy()
    error = np.abs(y - expected).mean() / expected.std()
    assert error < (0.02 if count else 1e-5)


def test_sums_of_pairs_fit_into_16_bits(tmp_path):
    """CPUs without VNNI add two products of uint8 and int8 in as many, and saturate."""
    torch.manual_seed(0)
    path = tmp_path / "graph.onnx"
    export_onnx(nn.Linear(96, 64), {"x": torch.randn(20, 96)}, ["y"], path)
    quantize_products(path)
    arrays = [numpy_helper.to_array(x) for x in onnx.load(path).graph.initializer]
    (weights,) = (x for x in arrays if x.dtype == np.int8 and x.ndim == 2)
    assert 60 < np.abs(weights.astype(int)).max() <= 64
