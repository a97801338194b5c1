"""One policy of somebody else, run as often as is asked for: `python peer.py PEER [--options]`.

Runs in an environment that has it and torch (`environment.sh`), and imports nothing of ours.
Weights are random: time does not depend on them. One thread, one observation, inputs at the
network's size.

stdout: a line of JSON when it is ready, `parameters` and `seconds` to make it; then, for each line
of stdin with a number, a line of JSON with so many times in [s].
"""

# what is imported is in the peers' own environment
# pyright: reportMissingImports=false

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

_BEGIN_S = time.perf_counter()
os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import torch  # noqa: E402

STATE, ACTION, HORIZON, EXECUTED = 10, 10, 16, 8
Plan = Callable[[], object]
_KEPT: list[torch.library.Library] = []  # what it declares goes with it


def diffusion(options: argparse.Namespace) -> tuple[torch.nn.Module, Plan]:
    """Lerobot's Diffusion Policy, with the observation and the one before it."""
    _declare_torchvision()
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

    config = DiffusionConfig(
        horizon=HORIZON,
        n_action_steps=EXECUTED,
        down_dims=tuple(options.down_dims),
        noise_scheduler_type=options.scheduler,
        num_inference_steps=options.steps,
        use_separate_rgb_encoder_per_camera=True,
        **_features(options),
    )
    policy = DiffusionPolicy(config).eval()
    seen = _observation(options, (1, config.n_obs_steps))
    return policy, lambda: policy.diffusion.generate_actions(seen)


def act(options: argparse.Namespace) -> tuple[torch.nn.Module, Plan]:
    """Lerobot's ACT."""
    _declare_torchvision()
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy

    config = ACTConfig(
        chunk_size=HORIZON,
        n_action_steps=EXECUTED,
        pretrained_backbone_weights=None,
        **_features(options),
    )
    policy = ACTPolicy(config).eval()
    seen = _observation(options, (1,))
    if options.cameras:
        images = seen.pop("observation.images")
        seen |= {name: images[:, i] for i, name in enumerate(config.image_features)}
    return policy, lambda: policy.predict_action_chunk(seen)


def published_carp(options: argparse.Namespace) -> tuple[torch.nn.Module, Plan]:
    """The published CARP; its image encoder is robomimic's, in whose place is one of its like."""
    sys.path.insert(0, str(options.folder))
    from CFAP import build_vae_ar

    sizes = {"depth": options.depth, "embed_dim": options.width, "patch_nums": options.scales}
    eyes = _eyes(options) if options.cameras else None
    # one observation, as ours; the published code takes two, and encodes both each time
    tokenizer, policy = build_vae_ar(
        "cpu", n_obs_steps=1, obs_dim=64 * options.cameras + STATE, obs_encoder=eyes, **sizes
    )
    for network in (tokenizer, policy):
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.02)
    state = torch.randn(1, 1, STATE)
    seen: dict[str, torch.Tensor] = {"state": state}
    for i in range(options.cameras):
        seen[f"camera_{i}"] = torch.rand(1, 1, 3, options.height, options.width_px)
    tokenizer.eval()
    given = seen if options.cameras else state
    return policy.eval(), lambda: policy.autoregressive_infer_cfg(given, tokenizer)


def _eyes(options: argparse.Namespace) -> torch.nn.Module:
    """ResNet-18 with group norm and spatial softmax, one a camera, as lerobot has it."""
    _declare_torchvision()
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionRgbEncoder

    class Eyes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = DiffusionConfig(**_features(options))
            each = [DiffusionRgbEncoder(config) for _ in range(options.cameras)]
            self.each = torch.nn.ModuleList(each)

        def forward(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
            parts = [eye(seen[f"camera_{i}"]) for i, eye in enumerate(self.each)]
            return torch.cat([*parts, seen["state"]], dim=1)

    return Eyes()


def _features(options: argparse.Namespace) -> dict[str, object]:
    from lerobot.configs.types import FeatureType, PolicyFeature

    inputs = {"observation.state": PolicyFeature(FeatureType.STATE, (STATE,))}
    for i in range(options.cameras):
        shape = (3, options.height, options.width_px)
        inputs[f"observation.images.camera_{i}"] = PolicyFeature(FeatureType.VISUAL, shape)
    if not options.cameras:  # lerobot's policies want one or the other
        inputs["observation.environment_state"] = PolicyFeature(FeatureType.ENV, (STATE,))
    outputs = {"action": PolicyFeature(FeatureType.ACTION, (ACTION,))}
    return {"input_features": inputs, "output_features": outputs, "device": "cpu"}


def _observation(options: argparse.Namespace, lead: tuple[int, ...]) -> dict[str, torch.Tensor]:
    seen = {"observation.state": torch.randn(*lead, STATE)}
    if options.cameras:
        shape = (*lead, options.cameras, 3, options.height, options.width_px)
        return seen | {"observation.images": torch.rand(shape)}
    return seen | {"observation.environment_state": torch.randn(*lead, STATE)}


def _declare_torchvision() -> None:
    """Declare two operators that torchvision looks up when imported, and that nobody calls."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


PEERS = {"diffusion": diffusion, "act": act, "published-carp": published_carp}


def main() -> None:
    """Make the peer and run it whenever somebody asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--cameras", type=int, default=0)
    parser.add_argument("--height", type=int, default=0, help="of an image, in pixels")
    parser.add_argument("--width-px", type=int, default=0, help="of an image, in pixels")
    parser.add_argument("--down-dims", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--scheduler", default="DDPM")
    parser.add_argument("--steps", type=int, default=100, help="of denoising")
    parser.add_argument("--folder", type=Path, help="of the published CARP: its `singletask`")
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 2, 3, 4])
    options = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print, too
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network, plan = PEERS[options.peer](options)
    with torch.inference_mode():
        plan()
        ready = {
            "parameters": sum(weight.numel() for weight in network.parameters()),
            "seconds": time.perf_counter() - _BEGIN_S,
        }
        print(json.dumps(ready), file=answers, flush=True)
        for line in sys.stdin:
            times_s = []
            for _ in range(int(line)):
                begin_s = time.perf_counter()
                plan()
                times_s.append(time.perf_counter() - begin_s)
            print(json.dumps(times_s), file=answers, flush=True)


if __name__ == "__main__":
    main()
