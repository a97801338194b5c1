"""On a machine with a GPU: a graph of a step does what its operations do."""

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

import torch

from carp_ros.training import loop
from carp_ros.training.loop import LoopConfig, train
from carp_ros.training.run_folder import RunFolder

from .small_world import make_trainee

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="CUDA graphs need an NVIDIA GPU; there is none"
)


def test_steps_replayed_as_a_graph_lead_to_the_weights_of_steps_launched_one_by_one(
    tmp_path, monkeypatch
):
    config = LoopConfig(4, 16, validate_every=2, precision="fp32")
    torch.backends.cudnn.deterministic = True
    graphed = make_trainee()
    train(graphed, config, RunFolder(tmp_path / "graphed", {}))
    monkeypatch.setattr(loop, "GraphedGradients", lambda compute, network, weights: compute)
    launched = make_trainee()
    train(launched, config, RunFolder(tmp_path / "launched", {}))
    for name, value in launched.network.state_dict().items():
        torch.testing.assert_close(
            graphed.network.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name
        )
