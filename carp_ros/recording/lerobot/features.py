"""Selects the features of a LeRobot dataset that become state, action and cameras."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from carp_ros.inference.layout import (
    GRIPPER,
    MOST_NUMBERS,
    TOOL,
    TOOL_NAMES,
    UNKNOWN_UNIT,
    Layout,
)
from carp_ros.refusal import in_words, printable, shortened
from carp_ros.robots import ROBOTS
from carp_ros.strict import NAME, read_strictly

STATE, ACTION = "observation.state", "action"

_NUMBERS = (
    *("float16", "float32", "float64", "bool"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
_PLACES = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_MOST_PX = 4096
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class FeatureChoice:
    """The features to learn from, if they are not the usual ones.

    Attributes:
        state: Features concatenated to the state, in order; empty for `observation.state`.
        action: The feature with the actions.
        cameras: The image features to use; empty for all.
    """

    state: tuple[str, ...] = ()
    action: str = ACTION
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageFeature:
    """A feature of images.

    Attributes:
        name: The camera's name for a policy.
        feature: Its name in the dataset.
        stored: As a `video`, or as an `image` in each row.
        width_px, height_px: Size of its images.
    """

    name: str
    feature: str
    stored: Literal["video", "image"]
    width_px: int
    height_px: int

    def require_size(self, width_px: int, height_px: int) -> None:
        """Reject images of another size than the declared one, to which live images are resized.

        Raises:
            ValueError: If the size differs.
        """
        if (width_px, height_px) != (self.width_px, self.height_px):
            raise ValueError(
                f"image is of {width_px}x{height_px} px; expected {self.width_px}x{self.height_px},"
                " as info.json says: correct its shape there, or choose others with --cameras"
            )


@dataclass(frozen=True)
class Features:
    """The features that are learnt from.

    Attributes:
        state_columns: The columns concatenated to the state, in order.
        action_column: The column with the actions.
        counts: How many numbers each of these columns has.
        state, action: The layouts of their numbers.
        cameras: The cameras to use, in the dataset's order.
        refused: Why other features are not used, one line each.
    """

    state_columns: tuple[str, ...]
    action_column: str
    counts: Mapping[str, int]
    state: Layout
    action: Layout
    cameras: tuple[ImageFeature, ...]
    refused: tuple[str, ...]


def chosen_features(features: Mapping[str, Any], choice: FeatureChoice) -> Features:
    """Select the features to learn from.

    Args:
        features: The features in info.json.
        choice: What the user asked for.

    Raises:
        ValueError: If the state or the action is not among them.
    """
    vectors, images, refused = {}, [], []
    for name, feature in features.items():
        if name in _PLACES:
            continue
        try:
            if not isinstance(feature, dict):
                raise ValueError(f"is {shortened(repr(feature), 60)}; expected dtype and shape")
            if feature.get("dtype") in ("image", "video"):
                images.append(_camera(name, feature))
            else:
                vectors[name] = _number_names(name, feature)
        except Exception as error:  # a bad entry concerns only its own feature
            refused.append(f"{_shown(name)}: {in_words(error)}")
    state_columns = choice.state or (STATE,)
    for name in (*state_columns, choice.action):
        if name not in vectors:
            raise ValueError(_missing(name, choice, vectors, refused))
    cameras = _wanted(images, choice.cameras, refused)
    counts = {name: len(vectors[name]) for name in (*state_columns, choice.action)}
    known = {name: features[name] for name in vectors}
    return Features(
        state_columns,
        choice.action,
        counts,
        _layout(state_columns, vectors, known),
        _layout((choice.action,), vectors, known),
        cameras,
        tuple(refused),
    )


def _missing(
    name: str, choice: FeatureChoice, vectors: Mapping[str, object], refused: Sequence[str]
) -> str:
    option = "--action" if name == choice.action else "--state"
    why = next((f" ({line})" for line in refused if line.startswith(f"{_shown(name)}:")), "")
    have = ", ".join(map(_shown, vectors)) or "some"
    return shortened(
        f"no feature {_shown(name)} of numbers{why}; expected one of {have}: name it with {option}",
        600,
    )


def _wanted(
    images: Sequence[ImageFeature], wanted: Sequence[str], refused: list[str]
) -> tuple[ImageFeature, ...]:
    """Return the cameras to use, each with a unique name."""
    for name in wanted:
        if name not in [known for camera in images for known in (camera.feature, camera.name)]:
            have = ", ".join(_shown(camera.feature) for camera in images) or "none"
            text = f"--cameras has {_shown(name)}; expected features of images: {have}"
            raise ValueError(shortened(text, 600))
    found: dict[str, ImageFeature] = {}
    for camera in images:
        if wanted and camera.name not in wanted and camera.feature not in wanted:
            continue
        if camera.name in found:
            refused.append(
                f"{_shown(camera.feature)}: its name becomes {camera.name}, as does that of"
                f" {_shown(found[camera.name].feature)}; expected names that differ: choose with"
                " --cameras"
            )
        else:
            found[camera.name] = camera
    return tuple(found.values())


def _shown(name: str) -> str:
    """Return a feature's name as it can stand in one line of text."""
    return shortened(printable(name), 80)


def _camera(feature: str, said: Mapping[str, Any]) -> ImageFeature:
    width_px, height_px, channels = _image_size(said.get("shape"), said.get("names"))
    for info in (said.get("info"), said.get("video_info")):
        if isinstance(info, dict) and True in map(info.get, ("is_depth_map", "video.is_depth_map")):
            raise ValueError("holds depth; expected colour images: policies look at colour only")
    if channels != 3:
        raise ValueError(f"has {channels} channels; expected 3, of colour images")
    if max(width_px, height_px) > _MOST_PX:
        raise ValueError(f"has {width_px}x{height_px} px; expected at most {_MOST_PX} each")
    name = feature.removeprefix("observation.").removeprefix("images.")
    name = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    name = name if name[:1].isalpha() else f"camera_{name}".strip("_")
    if expected := NAME.expectation(name):
        raise ValueError(f"the camera would be called {name!r}; expected {expected}")
    return ImageFeature(name, feature, said["dtype"], width_px, height_px)


def _image_size(shape: Any, names: Any) -> tuple[int, int, int]:
    """Return width, height and number of channels; the order of a shape varies among programs."""
    if not (
        isinstance(shape, list)
        and len(shape) == 3
        and all(type(size) is int and size >= 1 for size in shape)
    ):
        raise ValueError(f"shape is {shortened(repr(shape), 60)}; expected height, width, channels")
    if isinstance(names, dict) and len(names) == 1:
        names = next(iter(names.values()))
    is_named = isinstance(names, list) and len(names) == 3
    axes = [str(name)[:1].lower() for name in names] if is_named else []
    few = [place for place in (0, 2) if shape[place] in _CHANNELS]
    first = axes[:1] == ["c"] if len(few) != 1 else few == [0]  # names are sometimes wrong
    *size, channels = [*shape[1:], shape[0]] if first else shape
    if {"h", "w"} <= set(axes) and axes.index("w") < axes.index("h"):
        size.reverse()
    return size[1], size[0], channels


def _number_names(feature: str, said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a feature's numbers."""
    dtype, shape = said.get("dtype"), said.get("shape")
    if dtype not in _NUMBERS:
        raise ValueError(f"dtype is {shortened(repr(dtype), 40)}; expected numbers or images")
    if not (isinstance(shape, list) and len(shape) == 1 and type(shape[0]) is int):
        raise ValueError(f"shape is {shortened(repr(shape), 60)}; expected one row of numbers")
    count = shape[0]
    if not 1 <= count <= MOST_NUMBERS:
        raise ValueError(f"has {count} numbers; expected 1 to {MOST_NUMBERS}")
    names = _listed(said.get("names"))
    if (
        len(names) == count
        and all(isinstance(name, str | int) for name in names)
        and len(set(map(str, names))) == count
    ):
        return tuple(map(str, names))
    return (feature,) if count == 1 else tuple(f"{feature}_{i}" for i in range(count))


def _listed(names: Any) -> list[Any]:
    """Return names in one list, however a program has nested them; empty if it can't be told."""
    if isinstance(names, list):
        return names[0] if len(names) == 1 and isinstance(names[0], list) else names
    if not isinstance(names, dict):
        return []
    if all(type(place) is int for place in names.values()):  # {"x": 0, "y": 1}
        return sorted(names, key=lambda name: names[name])
    if not all(isinstance(part, list) for part in names.values()):
        return []
    parts = [name for part in names.values() for name in part]  # {"motors": [...]}
    if len(set(map(str, parts))) == len(parts):
        return parts
    return [f"{key}.{name}" for key, part in names.items() for name in part]


def _layout(
    columns: Sequence[str],
    vectors: Mapping[str, tuple[str, ...]],
    features: Mapping[str, Mapping[str, Any]],
) -> Layout:
    """Return the layout of some columns, as far as their names and units tell."""
    names = tuple(name for column in columns for name in vectors[column])
    if names == TOOL_NAMES:
        return TOOL
    bare = tuple(name.removesuffix(".pos") for name in names)
    if bare[-1] == GRIPPER and any(bare[:-1] == robot.joint_names for robot in ROBOTS.values()):
        return Layout("joints", bare, (*["rad"] * (len(bare) - 1), "1"))
    units = tuple(unit for column in columns for unit in _units(features[column], vectors[column]))
    if len(set(names)) < len(names):
        names = tuple(f"{column}.{name}" for column in columns for name in vectors[column])
    content = {"kind": "free", "names": list(names), "units": list(units)}
    try:
        return read_strictly(Layout, content, "its names")
    except ValueError:  # names that can't be printed
        plain = [f"{column}_{i}" for column in columns for i in range(len(vectors[column]))]
        return read_strictly(Layout, {**content, "names": plain}, ", ".join(columns))


def _units(feature: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    units = feature.get("units")
    if isinstance(units, list) and len(units) == len(names):
        for unit in units:
            short = isinstance(unit, str) and unit.isprintable() and 0 < len(unit.strip()) < 20
            yield unit if short else UNKNOWN_UNIT
    else:
        yield from [UNKNOWN_UNIT] * len(names)
