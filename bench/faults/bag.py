"""Bags: what becomes a dataset's rows must be what was recorded, at the time at which it was so."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import yaml

from bench.faults.campaign import Chance, Mutation, Refused, Spoilt
from bench.faults.files import copy_files, replace_file, spoil_bytes, write_anew
from bench.faults.hostile import NAMES, hostile_value, shown
from bench.faults.messages import spoil_message
from bench.faults.recording import CAMERAS, MS, RATE_HZ, Recording, Sent, record, row_at, said_by
from bench.faults.trees import spoil_text, spoil_tree, text_of
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.conversion import EpisodeFilter, convert, find_episodes

GOOD, ODD = "a_good_one", "b_odd_one"
_NUMBERS = {GOOD: 1, ODD: 2}
_SECONDS = {GOOD: 0.8, ODD: 2.0}
_AROUND_S = 0.25
"""How far what was spoilt may reach: messages are interpolated, and gaps of 0.2 s bridged."""

_BIG = 100.0
_OPENING = 0.05


class BagCampaign:
    """Through `find_episodes` and `convert`, as `carp convert`, beside an episode that is sound."""

    name = "bag"

    def __init__(self) -> None:
        self._sound = {flag: record(_NUMBERS[ODD], compressed=flag) for flag in (False, True)}

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Ways to spoil it."""
        return (
            self.message,
            self.message_field,
            self.message_field_again,
            self.messages_lost,
            self.stamps,
            self.topic,
            self.custom_data,
            self.metadata_value,
            self.metadata_text,
            self.mcap_bytes,
            self.files,
            self.instead,
        )

    def warm(self) -> None:
        """Import what encodes video."""
        import av  # noqa: F401

        cv2.setNumThreads(1)

    def prepare(self, folder: Path) -> None:
        """Write two episodes."""
        (folder / "bags").mkdir()
        for name, number in _NUMBERS.items():
            record(number, seconds=_SECONDS[name]).write(folder / "bags" / name)

    def copy(self, sound: Path, folder: Path) -> None:
        """Copy both."""
        copy_files(sound, folder)

    def names(self, folder: Path) -> Sequence[str]:
        """Return the name of the spoilt one."""
        return (ODD,)

    def enter(self, folder: Path) -> Any:
        """Convert both."""
        found = find_episodes([folder / "bags"])
        settings = FrameSettings(RATE_HZ)
        outcomes = list(convert(found, folder / "dataset", settings, EpisodeFilter()))
        return {outcome.folder.name: outcome for outcome in outcomes}

    def dangers(self, taken: Any, spoilt: Spoilt, folder: Path) -> Sequence[str]:
        """Judge the rows of both, or raise what was said against the spoilt one."""
        found = []
        strays = {path.name for path in folder.iterdir()} - {"bags", "dataset", "elsewhere"}
        if strays:
            found.append(f"files were written beside the dataset: {strays}")
        good, odd = taken.get(GOOD), taken.get(ODD)
        if good is None or good.status != "added":
            found.append(f"the sound episode was not converted: {good}")
        rows = read_dataset(folder / "dataset")
        if set(rows) - {GOOD, ODD} and not spoilt.facts.get("renamed"):
            found.append(f"the dataset has the episodes {sorted(rows)}")
        if GOOD in rows:
            found += judge_rows(rows[GOOD], GOOD, {})
        if odd is None or odd.status in ("refused", "unwanted"):
            if ODD in rows:
                found.append("rows of an episode that was refused")
            if found:
                return found
            if odd is None:
                return [] if spoilt.facts.get("no_episode") else ["not mentioned at all"]
            raise Refused(f"{odd.folder}: {odd.reason}")
        if odd.status == "added":
            if ODD not in rows:
                found.append("added, and not there")
            else:
                found += judge_rows(rows[ODD], ODD, spoilt.facts)
        return found

    # what is done to messages

    def message(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil one message's bytes."""
        recording, index, sent = self._any_message(chance)
        data, what = spoil_bytes(chance, sent.cdr)
        self._rewrite(folder, recording, {index: dataclasses.replace(sent, cdr=data)})
        return Spoilt(f"{_told(sent)}: {what}", _facts(sent))

    def message_field(self, chance: Chance, folder: Path) -> Spoilt:
        """Give a field of one message a value that it should not have."""
        recording, index, sent = self._any_message(chance)
        data, what = spoil_message(chance, self._type(recording, sent.topic), sent.cdr)
        self._rewrite(folder, recording, {index: dataclasses.replace(sent, cdr=data)})
        return Spoilt(f"{_told(sent)}: {what}", _facts(sent))

    def message_field_again(self, chance: Chance, folder: Path) -> Spoilt:
        """Do so in all messages of a topic in a span of time."""
        recording, _, sent = self._any_message(chance)
        until_ns = sent.stamp_ns + int(chance.integers(50, 2000)) * MS
        seed = int(chance.integers(2**31))
        replaced, what = {}, ""
        for place, other in enumerate(recording.sent):
            if other.topic == sent.topic and sent.stamp_ns <= other.stamp_ns <= until_ns:
                again = np.random.default_rng(seed)
                data, what = spoil_message(again, self._type(recording, other.topic), other.cdr)
                replaced[place] = dataclasses.replace(other, cdr=data)
        self._rewrite(folder, recording, replaced)
        facts = _facts(sent) | {"until_ns": until_ns}
        return Spoilt(f"{len(replaced)} messages from {_told(sent)}: {what}", facts)

    def messages_lost(self, chance: Chance, folder: Path) -> Spoilt:
        """Leave messages out, or write them twice, or in another order."""
        recording = self._recording(chance)
        names = sorted({sent.topic for sent in recording.sent})
        topic = names[int(chance.integers(len(names)))]
        begin_ns = recording.sent[0].stamp_ns + int(chance.integers(0, 2000)) * MS
        length = int((20, 60, 150, 300, 1000, 3000)[int(chance.integers(6))])
        until_ns = begin_ns + length * MS
        every = bool(chance.random() < 0.2)

        def inside(sent: Sent) -> bool:
            return (every or sent.topic == topic) and begin_ns <= sent.stamp_ns < until_ns

        part = [sent for sent in recording.sent if inside(sent)]
        others = [sent for sent in recording.sent if not inside(sent)]
        way = ("lost", "twice", "reversed", "at the end", "all at its begin")[
            int(chance.integers(5))
        ]
        if way == "lost":
            sent = others
        elif way == "twice":
            sent = sorted([*recording.sent, *part], key=lambda s: s.stamp_ns)
        elif way == "reversed":
            backwards = iter(reversed(part))
            sent = [next(backwards) if inside(s) else s for s in recording.sent]
        elif way == "at the end":
            sent = [*others, *part]
        else:
            place = next((i for i, s in enumerate(others) if s.stamp_ns >= begin_ns), len(others))
            sent = [*others[:place], *part, *others[place:]]
        recording.with_sent(sent).write(self._clear(folder))
        facts = {"from_ns": begin_ns, "until_ns": until_ns, "lost": way == "lost"}
        what = f"{'everything' if every else topic} of {length} ms is {way}"
        return Spoilt(what, facts)

    def stamps(self, chance: Chance, folder: Path) -> Spoilt:
        """Set clocks: of one topic or all, from some time on."""
        recording = self._recording(chance)
        names = sorted({sent.topic for sent in recording.sent})
        topic = names[int(chance.integers(len(names)))]
        every = bool(chance.random() < 0.4)
        begin_ns = recording.sent[0].stamp_ns + int(chance.integers(0, 2000)) * MS
        shifts_ms = (-3_600_000, -2000, -500, -50, 50, 500, 2000, 3_600_000, 10**12, -(10**13))
        shift_ns = shifts_ms[int(chance.integers(len(shifts_ms)))] * MS
        way = ("shifted", "shifted back after 300 ms", "all the same", "zero")[
            int(chance.integers(4))
        ]
        sent = []
        for message in recording.sent:
            stamp_ns = message.stamp_ns
            if (every or message.topic == topic) and stamp_ns >= begin_ns:
                if way == "shifted" or (way[:7] == "shifted" and stamp_ns < begin_ns + 300 * MS):
                    stamp_ns += shift_ns
                elif way == "all the same":
                    stamp_ns = begin_ns
                elif way == "zero":
                    stamp_ns = 0
            stamp_ns = max(0, stamp_ns)
            cdr = message.cdr
            if "gripper" not in message.topic:
                seconds, rest = divmod(stamp_ns, 10**9)
                cdr = cdr[:4] + _int32(seconds) + rest.to_bytes(4, "little") + cdr[12:]
            sent.append(Sent(stamp_ns, message.topic, cdr))
        if chance.random() < 0.5:
            sent.sort(key=lambda s: s.stamp_ns)
        recording.with_sent(sent).write(self._clear(folder))
        facts = {"from_ns": -(2**62), "until_ns": 2**62, "clock": True}
        what = f"stamps of {'everything' if every else topic}: {way}, by {shift_ns / 1e9} s"
        return Spoilt(what, facts)

    def topic(self, chance: Chance, folder: Path) -> Spoilt:
        """Call a topic otherwise, give it another type, or add one."""
        recording = self._recording(chance)
        names = sorted({sent.topic for sent in recording.sent})
        topic = names[int(chance.integers(len(names)))]
        act = int(chance.integers(3))
        if act == 0:
            wrong = (
                "std_msgs/msg/String",
                "sensor_msgs/msg/Image",
                "geometry_msgs/msg/PoseStamped",
            )
            kind = wrong[int(chance.integers(3))]
            dataclasses.replace(recording, types={topic: kind}).write(self._clear(folder))
            return Spoilt(f"{topic} is a {kind}")
        odd = (f"/ns{topic}", topic + "_", topic.upper(), "/" + "x" * 300, topic[1:], "", "/ä b\n")
        name = odd[int(chance.integers(len(odd)))]
        kind = self._type(recording, topic)
        changed = [
            dataclasses.replace(sent, topic=name) if sent.topic == topic and act == 1 else sent
            for sent in recording.sent
        ]
        if act == 2:
            changed.insert(5, Sent(changed[5].stamp_ns, name, chance.bytes(30)))
        spoilt = dataclasses.replace(recording.with_sent(changed), types={name: kind})
        spoilt.write(self._clear(folder))
        return Spoilt(f"{topic} is {'called' if act == 1 else 'beside'} {shown(name)}")

    # what is done to what is known

    def custom_data(self, chance: Chance, folder: Path) -> Spoilt:
        """Give what is known of the episode another value, by the same writer."""
        recording = self._recording(chance)
        plain = dataclasses.asdict(recording.info)
        name = list(plain)[int(chance.integers(len(plain)))]
        value = plain[name]
        if name == "rig_file":
            value, what = spoil_tree(chance, value)
        elif isinstance(value, str):
            value = NAMES[int(chance.integers(len(NAMES)))]
            what = shown(value)
        else:
            value = hostile_value(chance, list(value) if isinstance(value, tuple) else value)
            what = shown(value)
        info = dataclasses.replace(recording.info, **{name: _jsonable(value)})
        dataclasses.replace(recording, info=info).write(self._clear(folder))
        return Spoilt(f"{name} is {what}", {"info": name})

    def metadata_value(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a value of metadata.yaml."""
        path = folder / "bags" / ODD / "metadata.yaml"
        tree, what = spoil_tree(chance, yaml.safe_load(path.read_text(encoding="utf-8")))
        write_anew(path, text_of(tree, "yaml").encode("utf-8", "surrogatepass"))
        return Spoilt(f"metadata.yaml: {what}", {"info": "any"})

    def metadata_text(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the text of metadata.yaml."""
        path = folder / "bags" / ODD / "metadata.yaml"
        if chance.random() < 0.7:
            data, what = spoil_text(chance, path.read_text(encoding="utf-8"), "yaml")
        else:
            data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"metadata.yaml: {what}", {"info": "any"})

    def mcap_bytes(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the bytes of the messages' file."""
        (path,) = (folder / "bags" / ODD).glob("*.mcap")
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"{path.name}: {what}")

    def files(self, chance: Chance, folder: Path) -> Spoilt:
        """Change which files there are."""
        bag = folder / "bags" / ODD
        (mcap,) = bag.glob("*.mcap")
        ways: dict[str, Callable[[], object]] = {
            "a second MCAP file": lambda: shutil.copy(mcap, bag / "other.mcap"),
            "an empty second one": lambda: (bag / "other.mcap").touch(),
            "no MCAP file": mcap.unlink,
            "a renamed one": lambda: mcap.rename(bag / "a b\n.mcap"),
            "another episode's": lambda: write_anew(
                mcap, next((folder / "bags" / GOOD).glob("*.mcap")).read_bytes()
            ),
            "unfinished as well": lambda: (bag / "unfinished.yaml").write_text(
                "rig: x\n", encoding="utf-8"
            ),
            "unfinished as a folder": lambda: (bag / "unfinished.yaml").mkdir(),
            "not finished": lambda: self._sound[False].write(self._clear(folder), finished=False),
            "without metadata": (bag / "metadata.yaml").unlink,
            "a link to the good one": lambda: (
                shutil.rmtree(bag),
                bag.symlink_to(folder / "bags" / GOOD),
            ),
            "a file in its place": lambda: (
                shutil.rmtree(bag),
                bag.write_text("nothing", encoding="utf-8"),
            ),
            "a folder inside": (bag / "inner").mkdir,
            "not readable": lambda: mcap.chmod(0o000),
            "an empty folder": lambda: (shutil.rmtree(bag), bag.mkdir()),
        }
        way = list(ways)[int(chance.integers(len(ways)))]
        ways[way]()
        gone = ("without metadata", "a file in its place", "an empty folder")
        facts = {
            "no_episode": way in gone,
            "other": way in ("another episode's", "a link to the good one"),
        }
        if way == "a link to the good one":
            facts["no_episode"] = True
        return Spoilt(way, facts)

    def instead(self, chance: Chance, folder: Path) -> Spoilt:
        """Put something else into a file's place."""
        paths = sorted(path for path in (folder / "bags" / ODD).iterdir() if path.is_file())
        path = paths[int(chance.integers(len(paths)))]
        what = replace_file(chance, path)
        return Spoilt(what, {"no_episode": path.name == "metadata.yaml"})

    def _recording(self, chance: Chance) -> Recording:
        return self._sound[bool(chance.random() < 0.3)]

    def _any_message(self, chance: Chance) -> tuple[Recording, int, Sent]:
        """Return a message, each topic as likely as the other."""
        recording = self._recording(chance)
        names = sorted({sent.topic for sent in recording.sent})
        topic = names[int(chance.integers(len(names)))]
        places = [i for i, sent in enumerate(recording.sent) if sent.topic == topic]
        index = places[int(chance.integers(len(places)))]
        return recording, index, recording.sent[index]

    def _type(self, recording: Recording, topic: str) -> str:
        from carp_ros.recording.episode import topics

        return {t.name: t.type for t in topics(CAMERAS, compressed=recording.compressed)}[topic]

    def _rewrite(self, folder: Path, recording: Recording, replaced: dict[int, Sent]) -> None:
        sent = [replaced.get(i, message) for i, message in enumerate(recording.sent)]
        recording.with_sent(sent).write(self._clear(folder))

    def _clear(self, folder: Path) -> Path:
        bag = folder / "bags" / ODD
        shutil.rmtree(bag)
        return bag


def read_dataset(root: Path) -> dict[str, dict[str, Any]]:
    """Return each episode of a dataset by its source's name, read with other eyes than ours."""
    if not (root / "meta" / "info.json").is_file():
        return {}
    episodes = [
        row
        for path in sorted((root / "meta" / "episodes").rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    table = [
        row
        for path in sorted((root / "data").rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    found = {}
    for row in episodes:
        begin, end = row["dataset_from_index"], row["dataset_to_index"]
        images = {camera: _images(root, camera, row) for camera in CAMERAS}
        found[row["source"]] = {"facts": row, "rows": table[begin:end], "images": images}
    return found


def _images(root: Path, camera: str, row: dict[str, Any]) -> list[Any]:
    import av

    key = f"videos/observation.images.{camera}"
    path = root / "videos" / f"observation.images.{camera}"
    name = f"chunk-{row[f'{key}/chunk_index']:03d}/file-{row[f'{key}/file_index']:03d}.mp4"
    first = round(row[f"{key}/from_timestamp"] * RATE_HZ)
    with av.open(str(path / name)) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return images[first : first + row["length"]]


def judge_rows(episode: dict[str, Any], name: str, facts: dict[str, Any]) -> list[str]:
    """Return what is wrong with an episode's rows, where nothing was spoilt or anywhere.

    Args:
        episode: Of `read_dataset`.
        name: Of the recording.
        facts: What was spoilt: `from_ns`, `until_ns` and more.
    """
    from bench.faults.recording import start_of

    rows, told = episode["rows"], episode["facts"]
    truth = GOOD if facts.get("other") else name
    number, seconds = _NUMBERS[truth], _SECONDS[truth]
    start_ns = start_of(number)
    found: list[str] = []
    times_s = [(told["first_frame_ns"] + row["stamp_ns"] - start_ns) / 1e9 for row in rows]
    if not rows or len(rows) != told["length"]:
        return [f"{len(rows)} rows; {told['length']} are promised"]
    if any(b <= a for a, b in pairwise(times_s)):
        found.append(f"rows out of order: {times_s}")
    if [row["frame_index"] for row in rows] != list(range(len(rows))):
        found.append("frame_index does not count")
    from_s = (facts.get("from_ns", 2**62) - start_ns) / 1e9 - _AROUND_S
    until_s = (facts.get("until_ns", -(2**62)) - start_ns) / 1e9 + _AROUND_S
    clock = facts.get("clock", False)
    for index, (row, s) in enumerate(zip(rows, times_s)):
        numbers = np.array([*row["observation.state"], *row["action"], *row["observation.joints"]])
        if not np.isfinite(numbers).all() or np.abs(numbers).max() > _BIG:
            found.append(f"row {index}: {numbers.tolist()}")
            continue
        for column in ("observation.state", "action"):
            vector = np.array(row[column])
            norms = np.linalg.norm(vector[3:9].reshape(2, 3), axis=1)
            if np.abs(norms - 1).max() > 0.01 or not -0.05 <= vector[9] <= 1.05:
                found.append(f"row {index}: {column} {vector.round(3).tolist()}")
        for camera in CAMERAS:
            found += _picture(episode, row, index, camera, start_ns, from_s <= s <= until_s)
        if from_s <= s <= until_s or clock:
            continue
        state, action, joints = row_at(number, s, seconds)
        for column, true in (
            ("observation.state", state),
            ("action", action),
            ("observation.joints", joints),
        ):
            off = np.abs(np.array(row[column]) - true)
            if (
                column == "observation.state"
            ):  # the gripper's closure has no stamp: the latest counts
                off[9] = max(0.0, off[9] - _OPENING / seconds)
            if np.nanmax(off) > 2e-3:
                found.append(f"row {index} at {s:.3f} s: {column} is {np.nanmax(off):.3g} off")
    if not clock:
        found += _gaps(times_s, from_s, until_s, seconds)
    return found[:4]


def _picture(
    episode: dict[str, Any],
    row: dict[str, Any],
    index: int,
    camera: str,
    start_ns: int,
    spoilt: bool,
) -> list[str]:
    images = episode["images"][camera]
    if len(images) != len(episode["rows"]):
        return [f"{camera} has {len(images)} images of {len(episode['rows'])} rows"]
    stamp_ns = episode["facts"]["first_frame_ns"] + row[f"stamp_ns.{camera}"]
    ms = (stamp_ns - start_ns) / 1e6
    whose, said_ms = said_by(images[index])
    if spoilt:
        return []
    if whose != camera or abs(said_ms - ms) > 1:
        return [f"row {index}: {camera} shows {whose} at {said_ms} ms; expected {ms:.0f}"]
    return []


def _gaps(times_s: Sequence[float], from_s: float, until_s: float, seconds: float) -> list[str]:
    """Return where rows are missing though nothing was spoilt there."""
    ends = [-0.05, *times_s, seconds - 0.05]
    found = []
    for before, after in pairwise(ends):
        untouched = after < from_s or before > until_s
        if after - before > 0.25 and untouched:
            found.append(f"no row from {before:.2f} s to {after:.2f} s")
    return found


def _told(sent: Sent) -> str:
    return f"{sent.topic} at {(sent.stamp_ns % (60 * 10**9)) / 1e9:.2f} s"


def _facts(sent: Sent) -> dict[str, Any]:
    return {"from_ns": sent.stamp_ns, "until_ns": sent.stamp_ns}


def _int32(number: int) -> bytes:
    return max(-(2**31), min(2**31 - 1, number)).to_bytes(4, "little", signed=True)


def _jsonable(value: Any) -> Any:
    """Return a value that the recorder's writer could have been given."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
