"""Writes demonstrations anew as joint positions, with the public lerobot library alone.

For a dataset that is not ours: run in the environment of `make lerobot-check`.
    python write_joint_space.py DATASET OUT EPISODES

State and action are the six joints in [rad] and the gripper's closure; the action's joints are
those measured a frame later, as a leader arm's would be.
"""

# pyright: reportMissingImports=false

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import torch

# lerobot imports torchvision for image transforms only. Its compiled operators do not load beside
# every build of torch; the two that are looked up on import are declared here and never called.
_LIBRARY = torch.library.Library("torchvision", "DEF")
_LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

CAMERAS = ("observation.images.wrist_cam", "observation.images.third_cam")


def main(source: str, out: str, episodes: str) -> None:
    """Read the frames of the first episodes with lerobot, and write them with lerobot."""
    read = LeRobotDataset("local/tool", root=source)
    names = [*read.features["observation.joints"]["names"], "gripper"]
    vector = {"dtype": "float32", "shape": (len(names),), "names": names}
    images = {
        name: {
            "dtype": "video",
            "shape": tuple(read.features[name]["shape"]),
            "names": ["height", "width", "channels"],
        }
        for name in CAMERAS
    }
    features = {"observation.state": vector, "action": vector, **images}
    written = LeRobotDataset.create("local/joints", read.fps, features, root=out, robot_type="ur5e")
    count = min(int(episodes), read.meta.total_episodes)
    for number in range(count):
        episode = read.meta.episodes[number]
        first, end = episode["dataset_from_index"], episode["dataset_to_index"]
        frames = [read[index] for index in range(first, end)]
        for frame, following in pairwise(frames):
            closure = frame["observation.state"][-1:]
            state = np.concatenate([frame["observation.joints"], closure])
            action = np.concatenate([following["observation.joints"], frame["action"][-1:]])
            written.add_frame(
                {
                    "observation.state": state.astype(np.float32),
                    "action": action.astype(np.float32),
                    "task": frame["task"],
                }
                | {name: _image(frame[name]) for name in CAMERAS}
            )
        written.save_episode()
        print(f"{number + 1} of {count} episodes", flush=True)
    written.finalize()
    info = json.loads((Path(out) / "meta" / "info.json").read_text())
    print(f"{info['total_episodes']} episodes, {info['total_frames']} frames: {out}")


def _image(image: torch.Tensor) -> np.ndarray:
    """Return an image of shape (H, W, 3), uint8, of lerobot's (3, H, W), float from 0 to 1."""
    return (image.permute(1, 2, 0) * 255.0).round().to(torch.uint8).numpy()


if __name__ == "__main__":
    main(*sys.argv[1:])
