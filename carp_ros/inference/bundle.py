"""A bundle: one trained policy, compiled, with all that running it takes to know of its training.

A folder `models/<name>/` with `policy.yaml`, the graphs and a golden case. What a robot follows is
either whole and unchanged or refused: `load_bundle` checks every key and every byte; that the
runtime computes what the trainer computed, `carp_ros.policies.load` checks with the golden case.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt

from carp_ros.files.given_file import given_text
from carp_ros.files.plain_yaml import mapping_from_yaml
from carp_ros.inference.layout import FARTHEST, NAMES, UNITS
from carp_ros.inference.trained_rig import why_unlike
from carp_ros.refusal import refusing
from carp_ros.rig import Rig
from carp_ros.rig_sections import RigName
from carp_ros.strict import Between, Matching, Name, Sized, read_strictly

FORMAT = 2
MANIFEST = "policy.yaml"
WEIGHTS = "weights.bin"

WeightPrecision = Literal["float32", "int8"]
"""Of products with weights."""

MOST_STEPS = 128
"""Of a chunk: as many as the servo takes at once (`control/command.py`)."""

_MOST_GOLDEN_BYTES = 100_000_000

FileName = Annotated[
    str, Matching("[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", "a name in its folder, of letters and digits")
]
Sha256 = Annotated[str, Matching("[0-9a-f]{64}", "the 64 hexadecimal digits of a SHA-256")]
# control characters, odd spaces, marks that turn the direction of writing, halves of characters
_UNPRINTED = r"\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u205f-\u206f\ud800-\udfff\ufeff"
Line = Annotated[
    str,
    Matching(
        rf"(?=.*[^ ])[^{_UNPRINTED}]{{1,200}}", "one line of 1 to 200 characters, not spaces alone"
    ),
]
"""Of a text that people read: what a task is called is free, and becomes no path."""

_Pixels = Annotated[int, Between(1, 4096)]
_Bounds = Annotated[tuple[float, ...], Between(-1000.0, 1000.0), Sized(1, 64)]

Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class ImageSize:
    """What the policy takes of one camera, in [px]; the camera's own image is resized to it."""

    width_px: _Pixels
    height_px: _Pixels


@dataclass(frozen=True)
class VectorLayout:
    """What the numbers of a state or an action mean, and which were seen in training.

    Attributes:
        names: Of each number, as in `carp_ros.inference.layout`.
        units: Of each number.
        frame: In which poses are given: `base`.
        low, high: The least and the greatest value in training.
    """

    names: Annotated[tuple[Line, ...], Sized(1, 64)]
    units: Annotated[tuple[Line, ...], Sized(1, 64)]
    frame: Name
    low: _Bounds
    high: _Bounds


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle: its name in the folder, and the SHA-256 of its bytes in hex."""

    file: FileName
    sha256: Sha256


@dataclass(frozen=True)
class Golden:
    """Inputs and the outputs that belong to them, and how far a runtime may be off.

    Attributes:
        file, sha256: As of every file; an NPZ archive.
        position_tolerance_m: Of each step's position.
        rotation_tolerance_rad: Of each step's rotation, by the angle between.
        gripper_tolerance: Of each step's opening.
    """

    file: FileName
    sha256: Sha256
    position_tolerance_m: Annotated[float, Between(0.0, 0.01)]
    rotation_tolerance_rad: Annotated[float, Between(0.0, 0.05)]
    gripper_tolerance: Annotated[float, Between(0.0, 0.1)]


@dataclass(frozen=True)
class Manifest:
    """What `policy.yaml` says.

    Attributes:
        format: Of this file and of what the graphs take and give; 2.
        kind: Of policy: `carp`.
        tasks: What the policy can do, in the order of the input `task`.
        rig: Name of the rig whose base frame and cameras it knows.
        horizon: Steps of a chunk.
        step_s: Step i is due i * step_s after the observation's stamp.
        followed: Steps of a chunk that are followed before the next one is planned.
        scales: How many positions of the latent each scale decides, coarse to fine.
        cameras: What the input `image_<camera>` takes.
        state, action: Layout of the input `state` and of the decoder's `actions`.
        graphs: `vision_<camera>` for each camera, `condition`, `scale_<k>` for each scale,
            `decoder`.
        weights: Of the graphs, which name it and where in it each lies.
        golden: What every runtime must compute.
        made: Where it comes from: command, dataset, seed, date, machine, figures. Free.
        network: For who trains on from here; no robot reads it. Older bundles lack it.
    """

    format: Annotated[int, Between(1, 1000)]
    kind: Name
    tasks: Annotated[tuple[Line, ...], Sized(1, 100)]
    rig: RigName
    horizon: Annotated[int, Between(2, MOST_STEPS)]
    step_s: Annotated[float, Between(0.01, 1.0)]
    followed: Annotated[int, Between(1, MOST_STEPS - 1)]
    scales: Annotated[tuple[int, ...], Between(1, MOST_STEPS), Sized(1, 32)]
    cameras: Annotated[dict[Name, ImageSize], Sized(0, 16)]
    state: VectorLayout
    action: VectorLayout
    graphs: Annotated[dict[Name, BundleFile], Sized(1, 100)]
    weights: BundleFile
    golden: Golden
    made: dict[str, Any]
    network: BundleFile | None = None

    def contradictions(self) -> Iterator[str]:
        """Yield what these values may not be together."""
        if self.kind != "carp":
            yield f"kind is {self.kind!r}; expected 'carp'"
        if self.followed >= self.horizon:
            yield (
                f"followed is {self.followed}; expected 1 to {self.horizon - 1}, as a chunk has"
                f" {self.horizon} steps"
            )
        if len(set(self.tasks)) < len(self.tasks):
            yield f"tasks are {list(self.tasks)}; expected each once"
        for name, layout in (("state", self.state), ("action", self.action)):
            if (layout.names, layout.units, layout.frame) != (NAMES, UNITS, "base"):
                yield (
                    f"{name} is {list(layout.names)} in {list(layout.units)}, frame"
                    f" {layout.frame!r}; expected {list(NAMES)} in {list(UNITS)}, frame 'base'"
                )
            bounds = (layout.low, layout.high)
            if any(len(bound) != len(NAMES) for bound in bounds) or np.greater(*bounds).any():
                yield (
                    f"{name} spans {list(layout.low)} to {list(layout.high)}; expected"
                    f" {len(NAMES)} numbers each, low not above high"
                )
                continue
            for number, unit, most, *span in zip(NAMES, UNITS, FARTHEST, *bounds):
                if max(map(abs, span)) > most:
                    yield (
                        f"{name} spans {span[0]:g} to {span[1]:g} in {number}; expected"
                        f" {-most:g} to {most:g} {unit}"
                    )

    @property
    def replan_s(self) -> float:
        """From one plan to the next."""
        return self.followed * self.step_s


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, whose files were found to be what the manifest says.

    Attributes:
        folder: Where it lies.
        manifest: What it says of itself.
        sha256: Of policy.yaml, which names all other files' hashes: of the whole bundle, so to say.
    """

    folder: Path
    manifest: Manifest
    sha256: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def graph(self, name: str) -> Path:
        """Return the path of a compiled graph."""
        return self.folder / self.manifest.graphs[name].file

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the policy takes, in its order."""
        images = (image_name(camera) for camera in self.manifest.cameras)
        return (*images, "state", *(["task"] if len(self.manifest.tasks) > 1 else []))

    def golden(self) -> dict[str, Tensor]:
        """Return the arrays of the golden case: the inputs, `tokens` and `actions`.

        Raises:
            ValueError: If the archive can't be read, or lacks one.
        """
        path = self.folder / self.manifest.golden.file
        with refusing(ValueError, f"{path} is no NPZ archive, export anew"):
            with zipfile.ZipFile(path) as parts:
                size = sum(part.file_size for part in parts.infolist())
            if size > _MOST_GOLDEN_BYTES:
                raise ValueError(f"unpacks to {size} bytes; expected {_MOST_GOLDEN_BYTES} at most")
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        missing = [name for name in (*self.input_names, "actions") if name not in arrays]
        if missing:
            raise ValueError(f"{path} lacks {missing}; it has {list(arrays)}: export anew")
        return arrays

    def task_named(self, task: str) -> str:
        """Return the task of that name, or the only one there is if the name is empty.

        Raises:
            ValueError: If the policy was not trained for it, or there are several and none named.
        """
        tasks = self.manifest.tasks
        if not task and len(tasks) != 1:
            raise ValueError(f"no task is named; bundle {self.name} can do {', '.join(tasks)}")
        return tasks[self.task_number(task or next(iter(tasks)))]

    def task_number(self, task: str) -> int:
        """Return which number the policy knows a task by.

        Raises:
            ValueError: If the policy was not trained for it.
        """
        if task not in self.manifest.tasks:
            known = ", ".join(self.manifest.tasks)
            raise ValueError(f"task is {task!r}; bundle {self.name} was trained for {known}")
        return self.manifest.tasks.index(task)

    def require_rig(self, rig: Rig) -> None:
        """Refuse a rig that the policy was not trained for: its poses would mean something else.

        Raises:
            ValueError: If the rig lacks a camera, or differs from that of the training in what
                `trained_rig` compares.
        """
        manifest = self.manifest
        if not manifest.cameras:
            raise ValueError(
                f"bundle {self.name} sees with no camera; expected one, at whose captures"
                " observations are made: it can be measured, and moves no arm"
            )
        missing = [camera for camera in manifest.cameras if camera not in rig.cameras]
        if missing:
            raise ValueError(
                f"rig {rig.name} lacks the cameras {missing} that bundle {self.name} sees with; it"
                f" has {list(rig.cameras)}"
            )
        unlike = why_unlike(rig, manifest.rig, manifest.cameras)
        if unlike:
            raise ValueError(
                f"rig {rig.name} is not what bundle {self.name} was trained for, {manifest.rig}:"
                f" {unlike}, or choose a bundle of this rig"
            )


def load_bundle(folder: Path, *, to_run: bool = True) -> Bundle:
    """Return the bundle in a folder.

    Args:
        folder: Of the bundle.
        to_run: Refuse one whose graphs this version does not run; what else is in it, as its
            network, stays of use to whoever trains on from it or exports it anew.

    Raises:
        ValueError: If there is none, a key is unknown, missing or wrong, or a file is not the one
            that the manifest names.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"no {MANIFEST} in {folder}; expected the folder of an exported policy")
    text = given_text(path)
    manifest = read_strictly(Manifest, mapping_from_yaml(text, str(path)), str(path))
    if to_run:
        _check_graphs(manifest, str(path))
    network = [manifest.network] if manifest.network else []
    for entry in (*manifest.graphs.values(), manifest.weights, manifest.golden, *network):
        _check_file(folder, entry.file, entry.sha256)
    return Bundle(folder, manifest, hashlib.sha256(text.encode()).hexdigest())


def image_name(camera: str) -> str:
    """Return the name of the input that takes a camera's image."""
    return f"image_{camera}"


def graph_names(cameras: Iterable[str], scales: int) -> tuple[str, ...]:
    """Return the graphs of a policy with these cameras and so many scales."""
    eyes = (f"vision_{camera}" for camera in cameras)
    return (*eyes, "condition", *(f"scale_{k}" for k in range(scales)), "decoder")


def _check_graphs(manifest: Manifest, where: str) -> None:
    """Refuse graphs of another version, or of another policy than the manifest describes."""
    expected = graph_names(manifest.cameras, len(manifest.scales))
    for wrong, found, wanted in (
        (manifest.format != FORMAT, f"format is {manifest.format}", f"{FORMAT}"),
        (
            set(manifest.graphs) != set(expected),
            f"graphs are {', '.join(manifest.graphs)}",
            ", ".join(expected),
        ),
    ):
        if wrong:
            raise ValueError(
                f"{where}: {found}; expected {wanted}: export anew, from the training or from the"
                " bundle itself: carp export BUNDLE --out BUNDLE"
            )


def _check_file(folder: Path, file: str, sha256: str) -> None:
    path = folder / file
    if not path.is_file():
        raise ValueError(f"{path} is missing; copy the whole bundle, or export anew")
    found = sha256_of(path)
    if found != sha256:
        raise ValueError(
            f"{path} has SHA-256 {found}; {MANIFEST} names {sha256}: the file was changed or cut"
            " short; copy the whole bundle, or export anew"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
