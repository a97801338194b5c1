"""Run by `torchrun`: trains the small world and prints the losses that rank 0 logged."""

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

# after the path is set
import torch  # noqa: E402
from small_world import make_trainee  # noqa: E402

from carp_ros.training.loop import LoopConfig, train  # noqa: E402
from carp_ros.training.ranks import rank, rank_0_first, ranks  # noqa: E402
from carp_ros.training.run_folder import RunFolder  # noqa: E402

torch.set_num_threads(1)
config = LoopConfig(2, 16, precision="fp32")
with ranks():
    with rank_0_first():
        folder = RunFolder(Path(sys.argv[1]), {})
    train(make_trainee(), config, folder)
    if rank() == 0:
        sys.stdout.write(json.dumps([row["loss"] for row in folder.figures()]) + "\n")
