"""Bundles: what loads must plan what it was trained to plan, in a sane time and space."""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.faults.campaign import Chance, Mutation, Spoilt
from bench.faults.files import copy_files, replace_file, spoil_bytes, write_anew
from bench.faults.hostile import shown
from bench.faults.trees import spoil_text, spoil_tree, text_of
from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import load_bundle
from carp_ros.policies.load import load_policy
from carp_ros.rig import Rig, load_rig
from carp_ros.share import share_folder
from carp_ros.types import Observation, Pose

_NAME = "cup_policy_7"
_MANIFEST = "policy.yaml"
_OFF_M = 0.005
_LONGEST_TASK = 200


class BundleCampaign:
    """Through `load_bundle`, the rig's demand and `load_policy`, as `policy_node` does."""

    name = "bundle"

    def __init__(self) -> None:
        self._shipped = share_folder() / "models" / "carp_cup_sim"
        self._manifest_text = (self._shipped / _MANIFEST).read_text()
        self._manifest = yaml.safe_load(self._manifest_text)
        self._rig: Rig = load_rig(share_folder() / "config" / "ur5e_sim.yaml")

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Ways to spoil it."""
        return (
            self.manifest_value,
            self.manifest_value_again,
            self.manifest_number,
            self.manifest_text,
            self.manifest_bytes,
            self.file_bytes,
            self.graph_of_right_hash,
            self.golden_case,
            self.weights_of_right_hash,
            self.exchanged,
            self.file_elsewhere,
            self.instead,
        )

    def warm(self) -> None:
        """Import what runs graphs, without starting a thread of it."""
        import onnxruntime  # noqa: F401

    def prepare(self, folder: Path) -> None:
        """Copy the shipped bundle."""
        copy_files(self._shipped, folder / _NAME)

    def copy(self, sound: Path, folder: Path) -> None:
        """Copy the bundle."""
        copy_files(sound, folder)

    def names(self, folder: Path) -> Sequence[str]:
        """Return the bundle's name and those of its files."""
        return (_NAME,)

    def enter(self, folder: Path) -> Any:
        """Load and warm the policy."""
        bundle = load_bundle(folder / _NAME)
        bundle.require_rig(self._rig)
        task = bundle.spec.task_named("")
        return bundle, load_policy(folder / _NAME, task, lambda: 0)

    def dangers(self, taken: Any, spoilt: Spoilt, folder: Path) -> Sequence[str]:
        """Judge the manifest, and what the policy plans in the original's golden case."""
        bundle, policy = taken
        found = insane(bundle.manifest)
        with np.load(self._shipped / "golden.npz") as archive:
            golden = {name: archive[name] for name in archive.files}
        expected = golden["actions"]
        inputs = {name: golden[name] for name in bundle.input_names if name in golden}
        computed = np.asarray(policy.decode(inputs).actions)
        if computed.shape != expected.shape or not np.isfinite(computed).all():
            found.append(f"plans {computed.shape} numbers, of which some may not be finite")
        elif (off := float(np.abs(computed[:, :3] - expected[:, :3]).max())) > _OFF_M:
            found.append(f"plans {off * 1e3:.1f} mm beside the golden case")
        found += self._plan(policy, bundle.manifest)
        return found

    def _plan(self, policy: Any, manifest: Any) -> list[str]:
        """Judge the plan for an observation of the rig's own cameras."""
        rng = np.random.default_rng(0)
        stamp_ns = 10**18
        images = {
            name: rng.integers(0, 256, (camera.height_px, camera.width_px, 3), np.uint8)
            for name, camera in self._rig.cameras.items()
        }
        stamps_ns = dict.fromkeys(images, stamp_ns)
        tool = Pose(np.array([0.45, 0.05, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
        seen = Observation(stamp_ns, images, stamps_ns, tool, 0.2, np.zeros(6))
        try:
            chunk = policy.infer([seen]).chunk
        except PolicyError:
            return []
        numbers = np.concatenate([chunk.positions.ravel(), chunk.quaternions.ravel()])
        if not np.isfinite(numbers).all():
            return ["plans numbers that are not finite"]
        after_s = (chunk.times_ns - stamp_ns) * 1e-9
        if after_s[0] < 0 or after_s[-1] > 20 or (np.diff(after_s) <= 0).any():
            return [f"plans for {after_s[0]:.3g} s to {after_s[-1]:.3g} s after the observation"]
        return []

    def manifest_value(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil one value of the manifest."""
        tree, what = spoil_tree(chance, self._manifest, keep=("made",))
        self._write(folder, text_of(tree, "yaml"))
        return Spoilt(what)

    def manifest_value_again(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil two values, of those that are not names of files."""
        keep = ("made", "graphs", "weights", "network")
        tree, first = spoil_tree(chance, self._manifest, keep=keep)
        tree, second = spoil_tree(chance, tree, keep=keep)
        self._write(folder, text_of(tree, "yaml"))
        return Spoilt(f"{first}; {second}")

    def manifest_number(self, chance: Chance, folder: Path) -> Spoilt:
        """Give a number that decides something another one."""
        content = yaml.safe_load(self._manifest_text)
        places = (
            ("step_s",),
            ("horizon",),
            ("followed",),  # as the shipped manifests name the execution horizon
            ("golden", "position_tolerance_m"),
            ("golden", "rotation_tolerance_rad"),
            ("golden", "gripper_tolerance"),
            ("cameras", "wrist_cam", "width_px"),
            ("cameras", "third_cam", "height_px"),
            ("state", "low", int(chance.integers(10))),
            ("action", "high", int(chance.integers(10))),
            ("carp", "scales", int(chance.integers(3))),
        )
        place = places[int(chance.integers(len(places)))]
        holder = content
        for key in place[:-1]:
            holder = holder[key]
        was = holder[place[-1]]
        factor = (-1, 0, 1e-9, 0.01, 0.5, 2, 10, 170, 1e6, 1e300)[int(chance.integers(10))]
        value = was * factor
        if isinstance(was, int) and math.isfinite(value) and abs(value) < 2**62:
            value = int(value)
        holder[place[-1]] = value
        self._write(folder, text_of(content, "yaml"))
        return Spoilt(f"{'.'.join(map(str, place))}: {was} becomes {value}")

    def manifest_text(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the manifest's text."""
        data, what = spoil_text(chance, self._manifest_text, "yaml")
        write_anew(folder / _NAME / _MANIFEST, data)
        return Spoilt(what)

    def manifest_bytes(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the manifest's bytes."""
        data, what = spoil_bytes(chance, self._manifest_text.encode())
        write_anew(folder / _NAME / _MANIFEST, data)
        return Spoilt(what)

    def file_bytes(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the bytes of another file."""
        path = self._any_file(chance, folder, "*[!l]")
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"{path.name}: {what}")

    def graph_of_right_hash(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a graph's bytes, and let the manifest name its hash."""
        path = self._any_file(chance, folder, "*.onnx")
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        self._rehash(folder)
        return Spoilt(f"{path.name}, of the right hash: {what}")

    def weights_of_right_hash(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the weights, and let the manifest name their hash."""
        path = folder / _NAME / "weights.bin"
        weights = np.frombuffer(path.read_bytes(), np.float32).copy()
        ways = ("bytes", "nan", "zero", "huge", "turned", "noise", "half")
        way = ways[int(chance.integers(len(ways)))]
        begin = int(chance.integers(len(weights)))
        part = slice(begin, begin + int(chance.integers(1, 20000)))
        if way == "bytes":
            data, what = spoil_bytes(chance, path.read_bytes())
        else:
            if way == "nan":
                weights[part] = np.nan
            elif way == "zero":
                weights[:] = 0
            elif way == "huge":
                weights[part] = 1e30
            elif way == "turned":
                weights = weights[::-1]
            elif way == "noise":
                weights = weights + chance.normal(0, 0.1, weights.shape).astype(np.float32)
            data = (weights.astype(np.float16) if way == "half" else weights).tobytes()
            what = f"{way} from {begin}"
        write_anew(path, data)
        self._rehash(folder)
        return Spoilt(f"weights.bin, of the right hash: {what}")

    def golden_case(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the golden case, and let the manifest name its hash."""
        path = folder / _NAME / "golden.npz"
        with np.load(path) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
        name = list(arrays)[int(chance.integers(len(arrays)))]
        array = arrays[name]
        ways = {
            "missing": lambda: arrays.pop(name),
            "renamed": lambda: arrays.update({name + "s": arrays.pop(name)}),
            "objects": lambda: arrays.update({name: np.array([{"a": 1}], object)}),
            "texts": lambda: arrays.update({name: array.astype(str)}),
            "float64": lambda: arrays.update({name: array.astype(np.float64)}),
            "integers": lambda: arrays.update({name: array.astype(np.int16)}),
            "complex": lambda: arrays.update({name: array.astype(np.complex64)}),
            "not finite": lambda: arrays.update({name: array.astype(np.float32) * np.nan}),
            "huge": lambda: arrays.update({name: array.astype(np.float32) * 1e30}),
            "of another axis": lambda: arrays.update({name: array[None]}),
            "without an axis": lambda: arrays.update({name: array[0]}),
            "empty": lambda: arrays.update({name: array[:0]}),
            "twice as long": lambda: arrays.update({name: np.concatenate([array, array])}),
            "of Fortran's order": lambda: arrays.update({name: np.asfortranarray(array)}),
            "of the other byte order": lambda: arrays.update(
                {name: array.astype(array.dtype.newbyteorder())}
            ),
            "a number": lambda: arrays.update({name: np.float32(1)}),
            "shifted": lambda: arrays.update({name: (array + 1).astype(array.dtype)}),
        }
        way = list(ways)[int(chance.integers(len(ways)))]
        ways[way]()
        kept = io.BytesIO()
        np.savez(kept, **arrays)
        write_anew(path, kept.getvalue())
        self._rehash(folder)
        return Spoilt(f"golden.npz, of the right hash: {name} is {way}")

    def exchanged(self, chance: Chance, folder: Path) -> Spoilt:
        """Exchange two files, or entries of the manifest, of the right hashes."""
        names = list(self._manifest["graphs"])
        first, second = chance.choice(len(names), 2, replace=False)
        a, b = names[int(first)], names[int(second)]
        content = yaml.safe_load(self._manifest_text)
        graphs = content["graphs"]
        graphs[a], graphs[b] = graphs[b], graphs[a]
        if chance.random() < 0.3:
            graphs[b] = graphs[a]
        self._write(folder, text_of(content, "yaml"))
        return Spoilt(f"graphs {a} and {b} are exchanged")

    def file_elsewhere(self, chance: Chance, folder: Path) -> Spoilt:
        """Name a file outside of the bundle, of the right hash, or keep it in another way."""
        content = yaml.safe_load(self._manifest_text)
        entry = content["graphs"]["decoder"] if chance.random() < 0.5 else content["golden"]
        name = entry["file"]
        outside = folder / "elsewhere.bin"
        outside.write_bytes((folder / _NAME / name).read_bytes())
        ways = (
            f"../{outside.name}",
            str(outside),
            f"./{name}",
            f"{name}/",
            f"../{_NAME}/{name}",
            "",
            ".",
            name + "\n",
            "/dev/stdin",
            "link",
        )
        way = ways[int(chance.integers(len(ways)))]
        entry["file"] = way
        if way == "link":
            entry["file"] = name
            (folder / _NAME / name).unlink()
            (folder / _NAME / name).symlink_to(outside)
        self._write(folder, text_of(content, "yaml"))
        return Spoilt(f"{name} is named {shown(way)}")

    def instead(self, chance: Chance, folder: Path) -> Spoilt:
        """Put something else into a file's place."""
        path = self._any_file(chance, folder, "*")
        if chance.random() < 0.4:
            path = folder / _NAME / _MANIFEST
        return Spoilt(replace_file(chance, path))

    def _any_file(self, chance: Chance, folder: Path, pattern: str) -> Path:
        paths = sorted(path for path in (folder / _NAME).glob(pattern) if path.is_file())
        return paths[int(chance.integers(len(paths)))]

    def _write(self, folder: Path, text: str) -> None:
        write_anew(folder / _NAME / _MANIFEST, text.encode("utf-8", "surrogatepass"))

    def _rehash(self, folder: Path) -> None:
        """Let the manifest name the hashes that its files have."""
        content = yaml.safe_load(self._manifest_text)
        entries = [*content["graphs"].values(), content["weights"], content["golden"]]
        for entry in entries:
            data = (folder / _NAME / entry["file"]).read_bytes()
            entry["sha256"] = hashlib.sha256(data).hexdigest()
        self._write(folder, text_of(content, "yaml"))


def insane(manifest: Any) -> list[str]:
    """Return what a manifest may not say, by this campaign's own opinion."""
    golden = manifest.golden
    sizes = [
        number for size in manifest.cameras.values() for number in (size.width_px, size.height_px)
    ]
    wrongs = {
        f"step_s {manifest.step_s}": not 0.01 <= manifest.step_s <= 1.0,
        f"horizon {manifest.horizon}": not 2 <= manifest.horizon <= 256,
        f"execution_horizon {manifest.execution_horizon}": not 1
        <= manifest.execution_horizon
        < manifest.horizon,
        f"position_tolerance_m {golden.position_tolerance_m}": not 0
        < golden.position_tolerance_m
        <= 0.01,
        f"rotation_tolerance_rad {golden.rotation_tolerance_rad}": not 0
        < golden.rotation_tolerance_rad
        <= 0.1,
        f"gripper_tolerance {golden.gripper_tolerance}": not 0 < golden.gripper_tolerance <= 0.1,
        f"image sizes {sizes}": not all(8 <= number <= 4096 for number in sizes),
        f"cameras {shown(list(manifest.cameras))}": not manifest.cameras
        or not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in manifest.cameras),
        f"tasks {shown(manifest.tasks)}": not manifest.tasks
        # free, as it is no path and nothing expands it: a person must be able to read it
        or not all(task.isprintable() and task.strip() for task in manifest.tasks)
        or max(map(len, manifest.tasks)) > _LONGEST_TASK
        or len(set(manifest.tasks)) < len(manifest.tasks),
    }
    found = [what for what, wrong in wrongs.items() if wrong]
    for name in ("state", "action"):
        layout = getattr(manifest, name)
        low, high = np.array(layout.low, float), np.array(layout.high, float)
        most = np.array([3.0] * 3 + [1.01] * 6 + [1.01])
        if low.shape != (10,) or high.shape != (10,):
            found.append(f"{name} has {low.size} numbers")
        elif (
            not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all())
            or (np.abs([low, high]) > most).any()
        ):
            found.append(f"{name} spans {low.tolist()} to {high.tolist()}")
    return found
