"""A bundle: one trained policy, compiled, with everything needed to run it.

A folder `models/<name>/` with `policy.yaml`, the graphs and a golden case. A robot only runs a
complete, unchanged bundle: `load_bundle` checks every key and every file's hash, and
`carp_ros.policies.load` checks with the golden case that the runtime computes what the trainer did.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt

from carp_ros.files.given_file import given_text
from carp_ros.files.plain_yaml import mapping_from_yaml
from carp_ros.inference.earlier_bundles import upgraded
from carp_ros.inference.layout import GRIPPER, Line, VectorLayout
from carp_ros.inference.policy_spec import (
    MOST_STEPS,
    CameraInput,
    ObservationSpec,
    PolicySpec,
)
from carp_ros.inference.trained_rig import rig_mismatch
from carp_ros.refusal import refusing
from carp_ros.rig import Rig
from carp_ros.rig_sections import RigName
from carp_ros.strict import Between, Matching, Name, Sized, read_strictly

FORMAT = 3
MANIFEST = "policy.yaml"
WEIGHTS = "weights.bin"

WeightPrecision = Literal["float32", "int8"]
"""Precision of the products with weights."""

MOST_GRAPHS = 100
_MOST_GOLDEN_BYTES = 100_000_000
_ANEW = (
    ": export again, from the training or from the bundle itself: carp export BUNDLE --out BUNDLE"
)

FileName = Annotated[
    str, Matching("[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", "a name in its folder, of letters and digits")
]
Sha256 = Annotated[str, Matching("[0-9a-f]{64}", "the 64 hexadecimal digits of a SHA-256")]

Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle: its name in the folder, and its SHA-256 in hex."""

    file: FileName
    sha256: Sha256


@dataclass(frozen=True)
class Golden:
    """The golden case: inputs, their actions, and the allowed errors of a runtime.

    Attributes:
        file, sha256: As for every file; an NPZ archive.
        position_tolerance_m: Of each step's tool position.
        rotation_tolerance_rad: Of each step's tool rotation, as an angle.
        gripper_tolerance: Of each step's closure.
        joint_tolerance_rad: Of each joint of each step.
        share_tolerance: Of other numbers, as a share of their range in training.
    """

    file: FileName
    sha256: Sha256
    position_tolerance_m: Annotated[float, Between(0.0, 0.01)] = 0.001
    rotation_tolerance_rad: Annotated[float, Between(0.0, 0.05)] = 0.005
    gripper_tolerance: Annotated[float, Between(0.0, 0.1)] = 0.02
    joint_tolerance_rad: Annotated[float, Between(0.0, 0.05)] = 0.005
    share_tolerance: Annotated[float, Between(0.0, 0.1)] = 0.01


@dataclass(frozen=True)
class Manifest:
    """The head of `policy.yaml`, common to all kinds of policies.

    Next to it there is one section, named after the kind, which that policy's own module parses.

    Attributes:
        format: Version of this file and of the graphs' interface.
        kind: Of policy, see `carp_ros.policies.load`.
        tasks: Tasks of the policy, in the order of the input `task`.
        rig: Name of the rig that it was trained on: base frame, tool and cameras.
        horizon: Steps of a chunk, the action horizon.
        step_s: Step i is due i * step_s after the observation's stamp.
        execution_horizon: Steps executed before the next chunk is planned.
        observation: Observation history and its timing.
        cameras: Input of each camera.
        state, action: Meaning of the input and output numbers.
        graphs: The compiled graphs, by name.
        weights: File with the weights of all graphs.
        golden: The golden case that every runtime must reproduce.
        made: Provenance: command, dataset, seed, date, machine, metrics. Free-form.
        network: For training on from the bundle; not needed by a robot. Older bundles lack it.
        takes_instruction: Whether the policy follows instructions; `tasks` are those of its
            training.
        vocabulary: Text tokens of a published model, if the policy reads with one.
    """

    format: Annotated[int, Between(1, 1000)]
    kind: Name
    tasks: Annotated[tuple[Line, ...], Sized(1, 1000)]
    rig: RigName
    horizon: Annotated[int, Between(2, MOST_STEPS)]
    step_s: Annotated[float, Between(0.01, 1.0)]
    execution_horizon: Annotated[int, Between(1, MOST_STEPS - 1)]
    observation: ObservationSpec
    cameras: Annotated[dict[Name, CameraInput], Sized(0, 16)]
    state: VectorLayout
    action: VectorLayout
    graphs: Annotated[dict[Name, BundleFile], Sized(1, MOST_GRAPHS)]
    weights: BundleFile
    golden: Golden
    made: dict[str, Any]
    network: BundleFile | None = None
    takes_instruction: bool = False
    vocabulary: BundleFile | None = None

    def contradictions(self) -> Iterator[str]:
        """Yield contradictions between these values."""
        if self.execution_horizon >= self.horizon:
            yield (
                f"execution_horizon is {self.execution_horizon}; expected 1 to {self.horizon - 1},"
                f" as a chunk has {self.horizon} steps"
            )
        if len(set(self.tasks)) < len(self.tasks):
            yield f"tasks are {list(self.tasks)}; expected each once"
        reference = self.observation.reference
        if reference is not None and reference not in self.cameras:
            yield (
                f"observation.reference is {reference!r}; expected one of the cameras"
                f" {list(self.cameras)}"
            )


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose files match the manifest.

    Attributes:
        folder: Of the bundle.
        manifest: The head of `policy.yaml`.
        section: The section named after the kind, not yet parsed.
        sha256: Of policy.yaml; as that contains all files' hashes, it identifies the whole bundle.
    """

    folder: Path
    manifest: Manifest
    section: Mapping[str, Any]
    sha256: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def spec(self) -> PolicySpec:
        """What callers of the policy need to know."""
        manifest = self.manifest
        return PolicySpec(
            self.name,
            manifest.kind,
            manifest.tasks,
            manifest.cameras,
            manifest.observation,
            manifest.state,
            manifest.action,
            manifest.step_s,
            manifest.horizon,
            manifest.execution_horizon,
            manifest.takes_instruction,
        )

    def graph(self, name: str) -> Path:
        """Return the path of a compiled graph."""
        return self.folder / self.manifest.graphs[name].file

    def require_graphs(self, expected: Iterable[str]) -> None:
        """Raise unless the graphs are those of the policy that the manifest describes.

        Raises:
            ValueError: If the graphs are not those expected.
        """
        wanted = tuple(expected)
        if set(self.manifest.graphs) != set(wanted):
            raise ValueError(
                f"{self.folder / MANIFEST}: graphs are {', '.join(self.manifest.graphs)}; expected"
                f" {', '.join(wanted)}{_ANEW}"
            )

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the policy's inputs, in order."""
        images = (image_name(camera) for camera in self.manifest.cameras)
        return (*images, "state", *(["task"] if len(self.manifest.tasks) > 1 else []))

    def golden(self) -> dict[str, Tensor]:
        """Return the arrays of the golden case: the inputs, `tokens` and `actions`.

        Raises:
            ValueError: If the archive can't be read, or lacks an array.
        """
        path = self.folder / self.manifest.golden.file
        with refusing(ValueError, f"{path} is no NPZ archive, export again"):
            with zipfile.ZipFile(path) as parts:
                size = sum(part.file_size for part in parts.infolist())
            if size > _MOST_GOLDEN_BYTES:
                raise ValueError(f"unpacks to {size} bytes; expected {_MOST_GOLDEN_BYTES} at most")
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        missing = [name for name in (*self.input_names, "actions") if name not in arrays]
        if missing:
            raise ValueError(f"{path} lacks {missing}; it has {list(arrays)}: export again")
        return arrays

    def require_rig(self, rig: Rig) -> None:
        """Raise if the policy can't move a rig, or was not trained for it.

        Raises:
            ValueError: If its actions move no arm or another arm, if the rig lacks a camera or has
                too low a frame rate, or if it differs from the training's rig, see `trained_rig`.
        """
        manifest = self.manifest
        for what, layout in (("state", manifest.state), ("action", manifest.action)):
            self._require_layout(what, layout, rig)
        if not manifest.cameras:
            raise ValueError(
                f"bundle {self.name} uses no camera; expected at least one, as"
                " observations are made at its captures: it can be benchmarked, but moves no arm"
            )
        missing = [camera for camera in manifest.cameras if camera not in rig.cameras]
        if missing:
            raise ValueError(
                f"rig {rig.name} lacks the cameras {missing} that bundle {self.name} uses; it"
                f" has {list(rig.cameras)}"
            )
        skew_s = manifest.observation.skew_s
        for camera in manifest.cameras:
            if (apart_s := 0.5 / rig.cameras[camera].rate_hz) > skew_s:
                raise ValueError(
                    f"cameras.{camera} of rig {rig.name} gives {rig.cameras[camera].rate_hz:g}"
                    f" images per second, up to {apart_s:.3f} s from an observation's time; bundle"
                    f" {self.name} was trained on images within {skew_s:g} s: set a higher rate_hz,"
                    " or convert with a larger --skew-s and train again"
                )
        unlike = rig_mismatch(rig, manifest.rig, manifest.cameras, manifest.observation.reference)
        if unlike:
            raise ValueError(
                f"rig {rig.name} is not what bundle {self.name} was trained for, {manifest.rig}:"
                f" {unlike}, or choose a bundle of this rig"
            )

    def _require_layout(self, what: str, layout: VectorLayout, rig: Rig) -> None:
        if layout.kind == "free":
            raise ValueError(
                f"bundle {self.name} has the {what} {list(layout.names)}; expected a tool's or an"
                " arm's joints: it can be run from Python and evaluated, but moves no arm"
            )
        if what == "action" and layout.has_wrench:
            raise ValueError(
                f"bundle {self.name} has the action {list(layout.names)}; expected a pose and a"
                " gripper, as the servo follows no wrench"
            )
        joints = (*rig.robot.joint_names, GRIPPER)
        if layout.kind == "joints" and layout.names != joints:
            raise ValueError(
                f"bundle {self.name} has the {what} {list(layout.names)}; rig {rig.name} has"
                f" {list(joints)}: choose a bundle of this arm"
            )


def load_bundle(folder: Path, *, to_run: bool = True) -> Bundle:
    """Load the bundle in a folder.

    Args:
        folder: Of the bundle.
        to_run: Reject formats whose graphs this version can't run; False for only using other
            parts, such as the network for training on or exporting again.

    Raises:
        ValueError: If there is none, a key is unknown, missing or invalid, or a file does not match
            its hash in the manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"no {MANIFEST} in {folder}; expected the folder of an exported policy")
    text = given_text(path)
    content = upgraded(mapping_from_yaml(text, str(path)))
    kind = content.get("kind")
    section = content.pop(kind, {}) if isinstance(kind, str) else {}
    manifest = read_strictly(Manifest, content, str(path))
    if not isinstance(section, dict):
        raise ValueError(f"{path}: {kind} is {section!r}; expected the keys of that kind of policy")
    if to_run and manifest.format != FORMAT:
        raise ValueError(f"{path}: format is {manifest.format}; expected {FORMAT}{_ANEW}")
    files = (*manifest.graphs.values(), manifest.weights, manifest.golden)
    some = (manifest.network, manifest.vocabulary)
    for entry in (*files, *(entry for entry in some if entry is not None)):
        _check_file(folder, entry.file, entry.sha256)
    return Bundle(folder, manifest, section, hashlib.sha256(text.encode()).hexdigest())


def image_name(camera: str) -> str:
    """Return the name of a camera's image input."""
    return f"image_{camera}"


def _check_file(folder: Path, file: str, sha256: str) -> None:
    path = folder / file
    if not path.is_file():
        raise ValueError(f"{path} is missing; copy the whole bundle, or export again")
    found = sha256_of(path)
    if found != sha256:
        raise ValueError(
            f"{path} has SHA-256 {found}; {MANIFEST} names {sha256}: the file was changed or cut"
            " short; copy the whole bundle, or export again"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
