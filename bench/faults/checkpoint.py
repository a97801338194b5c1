"""Checkpoints: weights that are taken must be finite and the ones that were saved."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import yaml

from bench.faults.campaign import Chance, Mutation, Spoilt
from bench.faults.files import copy_files, replace_file, spoil_bytes, write_anew
from bench.faults.hostile import NAMES, shown
from bench.faults.trees import spoil_text, spoil_tree, text_of
from carp_ros.share import share_folder

_RUN, _BUNDLE = "cup_run_7", "cup_policy_7"
_HORIZON, _FRAMES = 8, 32
_CANARY = "executed"
_MOST = 1e6


class CheckpointCampaign:
    """Through all that takes weights: going on with a run, its export, bundles, plain files."""

    name = "checkpoint"

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Ways to spoil it."""
        return (
            self.config_value,
            self.config_text,
            self.weights_bytes,
            self.weights_header,
            self.weights_numbers,
            self.state_bytes,
            self.state_content,
            self.figures,
            self.network_json,
            self.pool,
            self.plain_file,
            self.instead,
        )

    def warm(self) -> None:
        """Import torch, and let it use one thread: a fork has no others."""
        import torch

        import carp_ros.export.published_checkpoint
        import carp_ros.export.training_run
        import carp_ros.training.carp  # noqa: F401

        torch.set_num_threads(1)
        trainee, _, _ = small_training()
        torch.optim.AdamW(cast(Any, trainee.network).parameters())  # imports more, slowly

    def prepare(self, folder: Path) -> None:
        """Train a small policy for an epoch, and copy the shipped bundle."""
        import torch

        from carp_ros.training.build import load_network
        from carp_ros.training.loop import train
        from carp_ros.training.run_folder import RunFolder

        torch.set_num_threads(1)
        trainee, config, recipe = small_training()
        train(trainee, recipe.loop, RunFolder(folder / _RUN, config), lambda *_: None)
        copy_files(share_folder() / "models" / "carp_cup_sim", folder / _BUNDLE)
        network, _, _ = load_network(folder / _RUN)
        torch.save(network.state_dict(), folder / "plain.pt")
        told = {
            "run": digest(network.state_dict()),
            "bundle": digest(load_network(folder / _BUNDLE)[0].state_dict()),
        }
        (folder / "expected.json").write_text(json.dumps(told))

    def copy(self, sound: Path, folder: Path) -> None:
        """Copy all."""
        copy_files(sound, folder)

    def names(self, folder: Path) -> Sequence[str]:
        """Return what may be named."""
        return (_RUN, _BUNDLE, "plain.pt")

    def enter(self, folder: Path) -> Any:
        """Load the run and the bundle, read the plain weights, and go on with the training."""
        from carp_ros.export.published_checkpoint import read_published_weights
        from carp_ros.training.build import load_network, load_tokenizer
        from carp_ros.training.loop import train
        from carp_ros.training.run_folder import RunFolder

        run, _, config = load_network(folder / _RUN)
        load_tokenizer(folder / _RUN)
        bundle, _, of_bundle = load_network(folder / _BUNDLE)
        plain = read_published_weights(folder / "plain.pt")
        trainee, own, own_recipe = small_training()
        kept = RunFolder(folder / _RUN, own)
        figures = kept.figures()
        loop = copy.copy(own_recipe.loop)
        train(trainee, loop, kept, lambda *_: None)
        after = kept.figures()
        return {
            "run": run.state_dict(),
            "bundle": bundle.state_dict(),
            "plain": plain,
            "resumed": cast(Any, trainee.network).state_dict(),
            "configs": (config, of_bundle),
            "figures": figures,
            "epochs": len(after),
        }

    def dangers(self, taken: Any, spoilt: Spoilt, folder: Path) -> Sequence[str]:
        """Compare weights with those that were saved, and look at what is said of them."""
        import torch

        expected = json.loads((folder / "expected.json").read_text())
        found = []
        if (folder / _CANARY).exists() or Path(_CANARY).exists():
            found.append("code in the file was executed")
        for name in ("run", "bundle", "plain", "resumed"):
            weights = taken[name]
            floats = [value for value in weights.values() if torch.is_tensor(value)]
            finite = [bool(torch.isfinite(value).all()) for value in floats]
            most = max((float(value.abs().max()) for value in floats if value.numel()), default=0)
            if not all(finite) or most > _MOST:
                found.append(f"weights of {name} are not finite, or as large as {most:.3g}")
            elif (
                name not in spoilt.facts.get("saved_anew", ())
                and digest(weights) != expected["bundle" if name == "bundle" else "run"]
            ):
                found.append(f"weights of {name} are not those that were saved")
        for config in taken["configs"]:
            found += _insane(config)
        steps = [row.get("step") for row in taken["figures"]]
        if any(not isinstance(step, (int, float)) or not np.isfinite(step) for step in steps):
            found.append(f"figures are of the steps {steps}")
        return found

    # what is done

    def config_value(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a value of the configuration."""
        path = folder / _RUN / "config.json"
        tree, what = spoil_tree(chance, json.loads(path.read_text()))
        write_anew(path, text_of(tree, "json").encode("utf-8", "surrogatepass"))
        return Spoilt(f"config.json: {what}")

    def config_text(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the text of the configuration."""
        path = folder / _RUN / "config.json"
        if chance.random() < 0.6:
            data, what = spoil_text(chance, path.read_text(), "json")
        else:
            data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"config.json: {what}")

    def weights_bytes(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the bytes of the weights."""
        path = folder / _RUN / "weights.safetensors"
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"weights.safetensors: {what}")

    def weights_header(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil what the weights' file says of its arrays."""
        path = folder / _RUN / "weights.safetensors"
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        act = chance.random()
        if act < 0.2:
            lengths = (0, 1, length - 1, length + 1, 2**40, 2**63, 2**64 - 1)
            value = lengths[int(chance.integers(len(lengths)))]
            write_anew(path, value.to_bytes(8, "little") + data[8:])
            return Spoilt(f"weights.safetensors: its head has {value} bytes")
        tree, what = spoil_tree(chance, json.loads(data[8 : 8 + length]))
        head = text_of(tree, "json").encode("utf-8", "surrogatepass")
        write_anew(path, len(head).to_bytes(8, "little") + head + data[8 + length :])
        return Spoilt(f"weights.safetensors: {what}")

    def weights_numbers(self, chance: Chance, folder: Path) -> Spoilt:
        """Save other weights by the same library."""
        import torch
        from safetensors.torch import load_file, save_file

        path = folder / _RUN / "weights.safetensors"
        weights = load_file(path)
        what = _spoil_weights(chance, weights)
        path.unlink()
        kept = {name: value for name, value in weights.items() if torch.is_tensor(value)}
        save_file({name: value.contiguous().clone() for name, value in kept.items()}, path)
        return Spoilt(f"weights.safetensors: {what}", {"saved_anew": ("run",)})

    def state_bytes(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the bytes of the state."""
        path = folder / _RUN / "state.pt"
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"state.pt: {what}")

    def state_content(self, chance: Chance, folder: Path) -> Spoilt:
        """Save another state by the same library."""
        import torch

        path = folder / _RUN / "state.pt"
        state = torch.load(path, weights_only=True)
        act = chance.random()
        if act < 0.25:
            write_anew(path, _evil(chance, folder))
            return Spoilt("state.pt: a pickle that executes something")
        if act < 0.6:
            part = ("network", "average")[int(chance.integers(2))]
            what = f"{part}: {_spoil_weights(chance, state[part])}"
        else:
            keys = list(state)
            key = keys[int(chance.integers(len(keys)))]
            odd = (None, {}, [], "x", -1, 10**6, 2**70, float("nan"), torch.zeros(3), [state[key]])
            value = odd[int(chance.integers(len(odd)))]
            if chance.random() < 0.25:
                del state[key]
                what = f"{key} is missing"
            else:
                state[key] = value
                what = f"{key} is {shown(value)}"
        content: Any = state if chance.random() < 0.9 else [state]
        path.unlink()
        torch.save(content, path)
        return Spoilt(f"state.pt: {what}", {"saved_anew": ("resumed",)})

    def figures(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the lines of figures."""
        path = folder / _RUN / "metrics.jsonl"
        lines = path.read_text().splitlines()
        act = chance.random()
        if act < 0.5:
            tree, what = spoil_tree(chance, json.loads(lines[0]))
            text = text_of(tree, "json").replace("\n", " ")
            write_anew(path, (text + "\n").encode("utf-8", "surrogatepass"))
        else:
            data, what = spoil_bytes(chance, path.read_bytes())
            if act < 0.75:
                data, what = spoil_text(chance, path.read_text(), "json")
            write_anew(path, data)
        return Spoilt(f"metrics.jsonl: {what}")

    def network_json(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil what a bundle says of its network; its manifest names the new hash."""
        path = folder / _BUNDLE / "network.json"
        if chance.random() < 0.75:
            tree, what = spoil_tree(chance, json.loads(path.read_text()))
            data = text_of(tree, "json").encode("utf-8", "surrogatepass")
        else:
            data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        _rehash(folder)
        return Spoilt(f"network.json, of the right hash: {what}")

    def pool(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a bundle's weights, of the wrong hash."""
        path = folder / _BUNDLE / "weights.bin"
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"weights.bin: {what}")

    def plain_file(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil plain weights: bytes, content, or something that executes."""
        import torch

        path = folder / "plain.pt"
        act = chance.random()
        if act < 0.4:
            data, what = spoil_bytes(chance, path.read_bytes())
            write_anew(path, data)
        elif act < 0.6:
            write_anew(path, _evil(chance, folder))
            what = "a pickle that executes something"
        else:
            weights = torch.load(path, weights_only=True)
            what = _spoil_weights(chance, weights)
            odd = ([weights], {"trainer": weights}, {"trainer": None}, None, "x", 3, weights)
            content = odd[int(chance.integers(len(odd)))]
            path.unlink()
            torch.save(content, path)
            what += f", in a {type(content).__name__}"
            return Spoilt(f"plain.pt: {what}", {"saved_anew": ("plain",)})
        return Spoilt(f"plain.pt: {what}")

    def instead(self, chance: Chance, folder: Path) -> Spoilt:
        """Put something else into a file's place."""
        paths = [path for path in sorted((folder / _RUN).iterdir()) if path.is_file()]
        paths += [folder / _BUNDLE / "network.json", folder / "plain.pt"]
        path = paths[int(chance.integers(len(paths)))]
        return Spoilt(replace_file(chance, path))


def small_training() -> tuple[Any, dict[str, Any], Any]:
    """Return a training of a few windows, its configuration and its recipe, always the same."""
    from carp_ros.inference.policy_spec import ObservationSpec
    from carp_ros.networks.action_tokenizer import ActionConfig
    from carp_ros.networks.carp_policy import ImageEncoderConfig
    from carp_ros.networks.carp_tokenizer import TokenizerConfig
    from carp_ros.training.augmentation import StateNoise
    from carp_ros.training.build import policy_config
    from carp_ros.training.carp import CarpFamily
    from carp_ros.training.carp_tokenizer import make_tokenizer
    from carp_ros.training.device import training_device
    from carp_ros.training.family import Samples
    from carp_ros.training.image_store import ImageStore
    from carp_ros.training.loop import LoopConfig
    from carp_ros.training.presets import PolicyRecipe
    from carp_ros.training.windows import Windows

    chance = np.random.default_rng(0)
    ramp = np.linspace(0.0, 1.0, _HORIZON, dtype=np.float32)
    goals = chance.uniform(0.1, 0.3, _FRAMES).astype(np.float32)
    pose = np.array([0.4, 0, 0.2, 1, 0, 0, 0, 1, 0, 0], np.float32)
    actions = np.tile(pose, (_FRAMES, _HORIZON, 1))
    actions[..., :3] += goals[:, None, None] * ramp[:, None]
    actions[..., 9] = goals[:, None] > 0.2
    images = {"cam": chance.integers(0, 256, (_FRAMES, 16, 20, 3)).astype(np.uint8)}
    states = actions[:, 0].copy()
    states[:, 3:9] += chance.normal(0, 0.01, (_FRAMES, 6)).astype(np.float32)
    states[:, 3:9] = states[:, 3:9].clip(-1.0, 1.0)
    data = Windows(states, actions, np.zeros(_FRAMES, np.int64), np.arange(_FRAMES) // 8, ("cup",))
    encoder = ImageEncoderConfig(image_px=(20, 16), crop_px=(16, 12), width=8)
    recipe = PolicyRecipe(16, 2, 2, 0.0, encoder, LoopConfig(1, 8), code_spread=0.5, fusion=12)
    vq = TokenizerConfig(horizon=_HORIZON, scales=(1, 2), codes=16, code_width=4)
    tokenizer = make_tokenizer(ActionConfig(vq, relative=True), StateNoise(0.01), data, 0)
    family = CarpFamily()
    network = family.make(recipe, tokenizer.eval(), ("cam",), data, 0)
    dataset = SimpleNamespace(
        root=Path("cups"),
        rig="ur5e_sim",
        step_s=0.1,
        cameras=("cam",),
        observation=ObservationSpec("cam", 0.05),
        dataset_px={},
    )
    config = policy_config(family, recipe, tokenizer, cast(Any, dataset), data, 0, 0)
    store = ImageStore(images, encoder.crop_px, training_device())
    windows = np.arange(_FRAMES)
    samples = Samples(data, store, windows[:-8], windows[-8:])
    return family.trainee(network, recipe, samples, None), config, recipe


def digest(weights: dict[str, Any]) -> str:
    """Return a digest of names, types, shapes and numbers."""
    said = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name].detach().cpu().numpy())
        said.update(f"{name} {array.dtype} {array.shape}".encode())
        said.update(array.tobytes())
    return said.hexdigest()


def _spoil_weights(chance: Chance, weights: dict[str, Any]) -> str:
    """Change one array in a dictionary, and return how."""
    import torch

    names = [name for name in weights if torch.is_tensor(weights[name]) and weights[name].numel()]
    name = names[int(chance.integers(len(names)))]
    value = weights[name]
    other = NAMES[int(chance.integers(len(NAMES)))].encode("utf-8", "replace").decode()
    place = int(chance.integers(value.numel()))

    def put(number: float) -> None:
        changed = value.clone().flatten()
        changed[place] = number
        weights[name] = changed.reshape(value.shape)

    def turn(number: Callable[[Any], Any]) -> Callable[[], None]:
        return lambda: weights.update({name: number(value)})

    ways: dict[str, Callable[[], object]] = {
        "missing": lambda: weights.pop(name),
        f"called {shown(other)}": lambda: weights.update({other: weights.pop(name)}),
        "there under another name, too": lambda: weights.update({other: value}),
        "NaN in one place": lambda: put(float("nan") if value.is_floating_point() else 2**30),
        "infinite in one place": lambda: put(float("inf") if value.is_floating_point() else -1),
        "huge in one place": lambda: put(1e30 if value.is_floating_point() else 10**6),
        "all zeros": turn(lambda v: v * 0),
        "double": turn(lambda v: v.double()),
        "half": turn(lambda v: v.half()),
        "of whole numbers": turn(lambda v: v.int()),
        "complex": turn(lambda v: v.to(torch.complex64)),
        "flat": turn(lambda v: v.flatten()),
        "with an axis more": turn(lambda v: v[None]),
        "shorter": turn(lambda v: v.flatten()[:-1]),
        "turned": turn(lambda v: v.flip(0) if v.dim() else v + 1),
        "empty": turn(lambda v: v.flatten()[:0]),
    }
    way = list(ways)[int(chance.integers(len(ways)))]
    ways[way]()
    return f"{name} is {way}"


class _Evil:
    """Becomes a call when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


def _evil(chance: Chance, folder: Path) -> bytes:
    """Return a file that executes code in whoever unpickles it."""
    import torch

    evil = {"network": _Evil(str(folder / _CANARY)), "epoch": 1}
    if chance.random() < 0.4:
        return pickle.dumps(evil)
    kept = io.BytesIO()
    torch.save(evil, kept)
    return kept.getvalue()


def _rehash(folder: Path) -> None:
    path = folder / _BUNDLE / "policy.yaml"
    content = yaml.safe_load(path.read_text())
    data = (folder / _BUNDLE / "network.json").read_bytes()
    content["network"]["sha256"] = hashlib.sha256(data).hexdigest()
    write_anew(path, yaml.safe_dump(content, sort_keys=False).encode())


def _insane(config: Any) -> list[str]:
    """Return what a configuration may not say of a policy."""
    # configurations of earlier trainings have ranges instead of layouts
    ranges = config.get("ranges") or {
        f"{what}_{end}": config[what][end]
        for what in ("state", "action")
        for end in ("low", "high")
    }
    numbers = [number for name in ranges for number in ranges[name]]
    wrongs = {
        f"step_s {config['step_s']}": not 0.01 <= config["step_s"] <= 1.0,
        f"ranges {shown(ranges)}": not all(abs(number) <= 4 for number in numbers)
        or any(len(ranges[name]) != 10 for name in ranges),
        f"tasks {shown(config['tasks'])}": not config["tasks"]
        or not all(isinstance(t, str) and t.strip() and "\n" not in t for t in config["tasks"]),
        f"cameras {shown(config['cameras'])}": not config["cameras"]
        or not all(isinstance(c, str) and c.isidentifier() for c in config["cameras"]),
        f"rig {shown(config['rig'])}": not isinstance(config["rig"], str) or not config["rig"],
    }
    return [what for what, wrong in wrongs.items() if wrong]
