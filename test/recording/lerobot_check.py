"""Reads a dataset with the public lerobot library and says what it found there.

Run by `test_lerobot.py` in the environment that `lerobot_environment.sh` makes:
    python lerobot_check.py DATASET FOUND.npz
"""

import os
import sys

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import torch

# lerobot imports torchvision for image transforms only. Its compiled operators do not load beside
# every build of torch; the two that are looked up on import are declared here and never called.
_LIBRARY = torch.library.Library("torchvision", "DEF")
_LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.datasets.compute_stats import aggregate_stats  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402
from lerobot.datasets.utils import dataset_to_policy_features  # noqa: E402


def main(root: str, found: str) -> None:
    """Read every frame, its images decoded, and save what was read."""
    dataset = LeRobotDataset("local/check", root=root)
    aggregate_stats([dataset.meta.stats, dataset.meta.stats])
    items = [dataset[index] for index in range(len(dataset))]
    values = {
        key: np.stack([np.asarray(item[key]) for item in items])
        for key in items[0]
        if key != "task"
    }
    values["task"] = np.array([item["task"] for item in items])
    values["policy_features"] = np.array(list(dataset_to_policy_features(dataset.features)))
    values["mean_action"] = dataset.meta.stats["action"]["mean"]
    np.savez(found, **values)
    ahead = LeRobotDataset("local/check", root=root, delta_timestamps={"action": [0.0, 0.1, 0.2]})
    batch = next(iter(torch.utils.data.DataLoader(ahead, batch_size=4, shuffle=True)))
    assert batch["action"].shape == (4, 3, 10), batch["action"].shape
    last = ahead[len(ahead) - 1]
    assert last["action_is_pad"].tolist() == [False, True, True]
    only = LeRobotDataset("local/check", root=root, episodes=[1])
    assert only[0]["episode_index"].item() == 1


if __name__ == "__main__":
    main(*sys.argv[1:])
