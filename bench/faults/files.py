"""Spoils files as such: bytes, and what lies in their place."""

from __future__ import annotations

import os
from pathlib import Path

from bench.faults.campaign import Chance

_HUGE_MB = 100


def spoil_bytes(chance: Chance, data: bytes) -> tuple[bytes, str]:
    """Return bytes that a disk or a copy has spoilt, and how."""
    size = len(data)
    begin = int(chance.integers(max(size, 1)))
    length = min(int(chance.integers(1, 4096)), max(size - begin, 1))
    changed = bytearray(data)
    way = int(chance.integers(9))
    if way == 0 and size:
        bit = int(chance.integers(8))
        changed[begin] ^= 1 << bit
        return bytes(changed), f"bit {bit} of byte {begin} flipped"
    if way == 1 and size:
        for place in chance.integers(size, size=20):
            changed[int(place)] ^= 1 << int(chance.integers(8))
        return bytes(changed), "20 bits flipped"
    if way == 2:
        return data[:begin], f"cut to {begin} of {size} bytes"
    if way == 3:
        changed[begin : begin + length] = bytes(length)
        return bytes(changed), f"{length} bytes from {begin} are zero"
    if way == 4:
        return data[:begin] + data[begin + length :], f"{length} bytes from {begin} are missing"
    if way == 5:
        part = data[begin : begin + length]
        return data[:begin] + part + data[begin:], f"{length} bytes from {begin} are there twice"
    if way == 6:
        changed[begin : begin + length] = chance.bytes(length)
        return bytes(changed[:size]), f"{length} bytes from {begin} are random"
    if way == 7:
        return data + chance.bytes(length), f"{length} random bytes are added"
    half = size // 2
    return data[half:] + data[:half], "its halves are exchanged"


def replace_file(chance: Chance, path: Path) -> str:
    """Put something else into a file's place, and return what."""
    ways = (
        "a pipe",
        "a folder",
        "a link to itself",
        "a link to nowhere",
        "a link to /dev/zero",
        "nothing",
        "an empty file",
        "100 MB of text",
        "100 MB of zeros",
        "a socket",
        "random bytes",
        "a ZIP's begin",
    )
    way = ways[int(chance.integers(len(ways)))]
    path.unlink()
    if way == "a pipe":
        os.mkfifo(path)
    elif way == "a folder":
        path.mkdir()
    elif way == "a link to itself":
        path.symlink_to(path.name)
    elif way == "a link to nowhere":
        path.symlink_to("nowhere/at/all")
    elif way == "a link to /dev/zero":
        path.symlink_to("/dev/zero")
    elif way == "an empty file":
        path.touch()
    elif way == "100 MB of text":
        with path.open("wb") as file:
            for _ in range(_HUGE_MB):
                file.write(b"- [1, 2, 3, 4]\n" * 66667)
    elif way == "100 MB of zeros":
        with path.open("wb") as file:
            file.truncate(_HUGE_MB * 1_000_000)
    elif way == "a socket":
        os.mknod(path, 0o140600)
    elif way == "random bytes":
        path.write_bytes(chance.bytes(5000))
    elif way == "a ZIP's begin":
        path.write_bytes(b"PK\x03\x04" + chance.bytes(500))
    return f"{path.name} is {way}"


def same_file(source: Path, target: Path) -> None:
    """Put a file into a folder without copying its bytes, if the disk allows."""
    try:
        os.link(source, target)
    except OSError:
        target.write_bytes(source.read_bytes())


def copy_files(source: Path, target: Path) -> None:
    """Put all files below a folder below another, without copying bytes."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            same_file(path, place)


def write_anew(path: Path, data: bytes) -> None:
    """Write a file in the place of another, whose bytes others may share."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
