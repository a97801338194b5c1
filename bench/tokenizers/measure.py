"""Makes tokenizers and writes what is found of each into its folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch

from bench.tokenizers.chunks import Chunks, chunks_of
from bench.tokenizers.contenders import Name, coded, load, make, use_of
from bench.tokenizers.metrics import errors_of, reference_of, tensors, times_of
from carp_ros.evaluation.report import machine, write_report

MEASURED, TIMED = "measured.json", "timed.json"
_TIMED_CHUNKS = 2048


class Which(Protocol):
    """Which tokenizers on which data, see `__main__`."""

    @property
    def data(self) -> tuple[str, ...]:
        """Folders of datasets, or `synthetic`."""
        ...

    @property
    def out(self) -> Path:
        """Folder of everything that is made."""
        ...

    @property
    def tokenizers(self) -> tuple[Name, ...]:
        """By name."""
        ...

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of everything."""
        ...

    @property
    def preset(self) -> str:
        """Of FASTerVQ."""
        ...


def measure_all(which: Which, steps: int, threads: int) -> None:
    """Fit or train tokenizers and measure their errors; those that are done stay.

    Raises:
        ValueError: If one was measured with another number of steps or preset.
    """
    torch.set_num_threads(threads)
    for chunks, seed in _chunks(which):
        reference = reference_of(chunks)
        for name in which.tokenizers:
            folder = folder_of(which.out, chunks.name, seed, name)
            asked = {"steps_asked": steps, "preset_asked": which.preset}
            if (row := _read(folder / MEASURED)) is not None:
                if {key: row[key] for key in asked} != asked:
                    raise ValueError(
                        f"{folder} was measured with {row['steps_asked']} steps and preset"
                        f" {row['preset_asked']}; expected {steps} and {which.preset}: name another"
                        " folder with --out, or remove it"
                    )
                print(f"{chunks.name}, seed {seed}, {name}: is measured", flush=True)
                continue
            begin_s = time.perf_counter()
            tokenizer, facts = make(name, chunks, seed, steps, which.preset, folder)
            row = {"data": chunks.name, "tokenizer": name, "seed": seed}
            row |= _found(tokenizer, chunks, reference) | facts | asked
            row["made_in_s"] = round(time.perf_counter() - begin_s, 1)
            write_report(folder / MEASURED, row)
            told = f"error {row['error']:.5f}, {row['tokens_mean']:.1f} tokens"
            took = f"{row['made_in_s']:.0f} s"
            print(f"{chunks.name}, seed {seed}, {name}: {told}, {took}", flush=True)


def _found(tokenizer: Any, chunks: Chunks, reference: Any) -> dict[str, Any]:
    part = chunks.part(chunks.held_out)
    actions, states = tensors(part)
    tokens, back = coded(tokenizer, actions, states)
    errors = errors_of(actions, back, states, reference, part.action.kind)
    return {
        "horizon": chunks.horizon,
        "numbers": reference.scaling.scale.numel(),
        "chunks": {"trained": len(chunks.trained), "held_out": len(chunks.held_out)},
        **use_of(tokenizer, tokens),
        **errors,
    }


def time_all(which: Which, least_s: float) -> None:
    """Measure times of tokenizers that were made, one after the other, on one thread."""
    torch.set_num_threads(1)
    for chunks, seed in _chunks(which):
        actions, states = tensors(chunks.part(chunks.held_out[:_TIMED_CHUNKS]))
        for name in which.tokenizers:
            folder = folder_of(which.out, chunks.name, seed, name)
            if not (folder / MEASURED).is_file():
                print(f"{chunks.name}, seed {seed}, {name}: is not measured yet", flush=True)
                continue
            times = times_of(load(name, folder), actions, states, least_s)
            write_report(folder / TIMED, {**times, "machine": machine()})
            print(f"{chunks.name}, seed {seed}, {name}: {times}", flush=True)


def rows_in(out: Path) -> list[dict[str, Any]]:
    """Return what was found of every tokenizer in a folder, one row each."""
    rows: list[dict[str, Any]] = []
    for file in sorted(out.glob(f"*/seed_*/*/{MEASURED}")):
        row = _read(file) or {}
        rows.append(row | (_read(file.with_name(TIMED)) or {}))
    return rows


def folder_of(out: Path, data: str, seed: int, name: str) -> Path:
    """Return where a tokenizer is kept."""
    return out / data / f"seed_{seed}" / name


def _chunks(which: Which) -> Iterator[tuple[Chunks, int]]:
    for data in which.data:
        for seed in which.seeds:
            yield chunks_of(data, seed), seed


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
