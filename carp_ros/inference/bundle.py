"""A bundle: one trained policy, compiled, with all that running it takes to know of its training.

A folder `models/<name>/` with `policy.yaml`, the graphs and a golden case. What a robot follows is
either whole and unchanged or refused: `load_bundle` checks every key and every byte; that the
runtime computes what the trainer computed, `carp_ros.policies.load` checks with the golden case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import NAMES, UNITS
from carp_ros.plain_yaml import load_mapping
from carp_ros.rig import Rig
from carp_ros.strict import read_strictly

FORMAT = 2
MANIFEST = "policy.yaml"
WEIGHTS = "weights.bin"

WeightPrecision = Literal["float32", "int8"]
"""Of products with weights."""

Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class ImageSize:
    """What the policy takes of one camera, in [px]; the camera's own image is resized to it."""

    width_px: int
    height_px: int


@dataclass(frozen=True)
class VectorLayout:
    """What the numbers of a state or an action mean, and which were seen in training.

    Attributes:
        names: Of each number, as in `carp_ros.inference.layout`.
        units: Of each number.
        frame: In which poses are given: `base`.
        low, high: The least and the greatest value in training.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    frame: str
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle: its name in the folder, and the SHA-256 of its bytes in hex."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Golden:
    """Inputs and the outputs that belong to them, and how far a runtime may be off.

    Attributes:
        file, sha256: As of every file; an NPZ archive.
        position_tolerance_m: Of each step's position.
        rotation_tolerance_rad: Of each step's rotation, by the angle between.
        gripper_tolerance: Of each step's opening.
    """

    file: str
    sha256: str
    position_tolerance_m: float
    rotation_tolerance_rad: float
    gripper_tolerance: float


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

    format: int
    kind: str
    tasks: tuple[str, ...]
    rig: str
    horizon: int
    step_s: float
    followed: int
    scales: tuple[int, ...]
    cameras: dict[str, ImageSize]
    state: VectorLayout
    action: VectorLayout
    graphs: dict[str, BundleFile]
    weights: BundleFile
    golden: Golden
    made: dict[str, Any]
    network: BundleFile | None = None

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
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is no NPZ archive: {error}; export anew") from error
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
            ValueError: If the rig has another name, or lacks a camera.
        """
        manifest = self.manifest
        if rig.name != manifest.rig:
            raise ValueError(
                f"rig is {rig.name!r}; bundle {self.name} was trained for {manifest.rig!r}: its"
                " poses are in that rig's base frame. Choose a bundle of this rig"
            )
        missing = [camera for camera in manifest.cameras if camera not in rig.cameras]
        if missing:
            raise ValueError(
                f"rig {rig.name} lacks the cameras {missing} that bundle {self.name} sees with; it"
                f" has {list(rig.cameras)}"
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
    manifest = read_strictly(Manifest, load_mapping(path), str(path))
    if to_run:
        _check_graphs(manifest, str(path))
    _check_manifest(manifest, str(path))
    network = [manifest.network] if manifest.network else []
    for entry in (*manifest.graphs.values(), manifest.weights, manifest.golden, *network):
        _check_file(folder, entry.file, entry.sha256)
    return Bundle(folder, manifest, sha256_of(path))


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


def _check_manifest(manifest: Manifest, where: str) -> None:
    """Refuse what contradicts itself, or this version does not know."""
    wrongs = (
        (manifest.kind != "carp", f"kind is {manifest.kind!r}", "'carp'"),
        (not manifest.tasks, "tasks is empty", "one at least"),
        (manifest.horizon < 1, f"horizon is {manifest.horizon}", "1 or more"),
        (manifest.step_s <= 0.0, f"step_s is {manifest.step_s}", "a time above 0"),
        (
            not 1 <= manifest.followed < manifest.horizon,
            f"followed is {manifest.followed}",
            f"1 to {manifest.horizon - 1}, as a chunk has {manifest.horizon} steps",
        ),
        (not manifest.scales, "scales is empty", "one at least"),
    )
    for wrong, found, wanted in wrongs:
        if wrong:
            raise ValueError(f"{where}: {found}; expected {wanted}")
    for name, layout in (("state", manifest.state), ("action", manifest.action)):
        if (layout.names, layout.units, layout.frame) != (NAMES, UNITS, "base"):
            raise ValueError(
                f"{where}: {name} is {list(layout.names)} in {list(layout.units)}, frame"
                f" {layout.frame!r}; expected {list(NAMES)} in {list(UNITS)}, frame 'base'"
            )
        bounds = (layout.low, layout.high)
        if any(len(bound) != len(NAMES) for bound in bounds) or np.greater(*bounds).any():
            raise ValueError(
                f"{where}: {name} spans {list(layout.low)} to {list(layout.high)}; expected"
                f" {len(NAMES)} numbers each, low not above high"
            )


def _check_file(folder: Path, file: str, sha256: str) -> None:
    if Path(file).name != file:
        raise ValueError(f"{folder / MANIFEST}: file is {file!r}; expected a name in its folder")
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
