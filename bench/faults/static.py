"""Runs a campaign on files, and keeps what came of it."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.faults.attempt import MOST_MEMORY_MB, PATIENCE_S, in_a_process, try_cases, try_sound
from bench.faults.campaign import GOOD, VERDICTS, Campaign, Case
from carp_ros.evaluation.report import heading, write_report
from carp_ros.share import version

KINDS = ("rig", "rig_fr3", "bundle", "bag", "dataset", "checkpoint")


def campaign_of(kind: str) -> Campaign:
    """Return the campaign of a kind of files."""
    if kind in ("rig", "rig_fr3"):
        from bench.faults.rig import RigCampaign

        return RigCampaign("fr3" if kind == "rig_fr3" else "ur5e")
    if kind == "bundle":
        from bench.faults.bundle import BundleCampaign

        return BundleCampaign()
    if kind == "bag":
        from bench.faults.bag import BagCampaign

        return BagCampaign()
    if kind == "dataset":
        from bench.faults.dataset import DatasetCampaign

        return DatasetCampaign()
    from bench.faults.checkpoint import CheckpointCampaign

    return CheckpointCampaign()


@contextmanager
def prepared(campaign: Campaign) -> Iterator[Path]:
    """Give the folder of the sound input, which is known to be taken."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="sound_", dir=place if place.is_dir() else None) as f:
        in_a_process(campaign.prepare, Path(f))
        campaign.warm()
        in_a_process(try_sound, campaign, Path(f))
        yield Path(f)


def run(campaign: Campaign, seeds: range, jobs: int) -> list[Case]:
    """Try cases, showing progress, and return them by seed."""
    cases: list[Case] = []
    counts: Counter[str] = Counter()
    shown_s = begin_s = time.monotonic()
    with prepared(campaign) as sound:
        for case in try_cases(campaign, sound, seeds, jobs):
            cases.append(case)
            counts[case.verdict] += 1
            if time.monotonic() - shown_s > 10.0 or len(cases) == len(seeds):
                shown_s = time.monotonic()
                text = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if counts[v])
                rate = len(cases) / (shown_s - begin_s)
                end = "\n" if len(cases) == len(seeds) or not sys.stdout.isatty() else ""
                print(
                    f"\r{campaign.name}: {len(cases)} of {len(seeds)}: {text}; {rate:.0f}/s",
                    end=end,
                )
    return sorted(cases, key=lambda case: case.seed)


def summary(cases: list[Case]) -> dict[str, Any]:
    """Return how many cases there were of each verdict, altogether and by mutation."""

    def row(of: list[Case]) -> dict[str, int]:
        counts = Counter(case.verdict for case in of)
        return {"tried": len(of), **{verdict: counts[verdict] for verdict in VERDICTS}}

    names = dict.fromkeys(case.mutation for case in cases)
    return {
        **row(cases),
        "longest_s": max(case.seconds for case in cases),
        "most_memory_mb": max(case.memory_mb for case in cases),
        "mutations": {name: row([c for c in cases if c.mutation == name]) for name in names},
    }


def report(cases: list[Case], seeds: range, path: Path, command: str) -> None:
    """Write what came of a campaign: counts, and each case that ought not to be."""
    faults = [dataclasses.asdict(case) for case in cases if case.verdict not in GOOD]
    limits = {"seconds": PATIENCE_S, "memory_mb": MOST_MEMORY_MB}
    content = {"seeds": [seeds.start, seeds.stop], "limits": limits, **summary(cases)}
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    content["cpu_s"] = round(usage.ru_utime + usage.ru_stime, 1)
    write_report(path, {**heading(command.split(), version()), **content, "faults": faults})


def merged_report(case: Case, path: Path, command: str) -> None:
    """Add a case to the report of a campaign that is run in several sittings."""
    content = json.loads(path.read_text()) if path.is_file() else {"cases": [], "faults": []}
    whole = {fault["seed"]: Case(**fault) for fault in content["faults"]}
    cases = {
        row["seed"]: whole.get(row["seed"]) or Case(**row, what="", detail="")
        for row in content["cases"]
    }
    cases[case.seed] = case
    in_order = [cases[seed] for seed in sorted(cases)]
    rows = []
    for each in in_order:
        row = dataclasses.asdict(each)
        rows.append({key: row[key] for key in row if key not in ("what", "detail")})
    faults = [dataclasses.asdict(each) for each in in_order if each.verdict not in GOOD]
    write_report(
        path,
        {
            **heading(command.split(), version()),
            "seeds": [min(cases), max(cases) + 1],
            **summary(in_order),
            "faults": faults,
            "cases": rows,
        },
    )


def show(case: Case) -> str:
    """Return a case for people."""
    return (
        f"seed {case.seed}, {case.mutation}: {case.what}\n  {case.verdict}: {case.detail}"
        f" ({case.seconds:.2f} s, {case.memory_mb:.0f} MB)"
    )
