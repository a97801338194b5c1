"""`python -m bench.cameras record | unplug`: two cameras of 640 x 480 at 30 Hz, from files.

record: 10 minutes through `camera_node` and `recorder_node`. unplug: a policy on the simulated arm,
whose cameras are unplugged at random moments.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.cameras.recorded import measure_recording
from bench.cameras.sources import RECORDING, VIDEO, make_sources
from bench.cameras.unplugged import measure_unplugging
from carp_ros.evaluation.report import heading, write_report
from carp_ros.processes.ros_environment import enter
from carp_ros.share import cache_folder, version

_MARGIN_S = 20.0


def main() -> int:
    """Measure and write the report; return 1 if an image was lost or a stop missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.cameras", description=__doc__)
    parser.add_argument("what", choices=("record", "unplug"))
    parser.add_argument("--seconds", type=float, default=600.0, help="of the recording")
    parser.add_argument("--times", type=int, default=20, help="how often to unplug")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--report", type=Path, default=None, help="JSON file for the results")
    options = parser.parse_args()
    enter()
    length_s = options.seconds if options.what == "record" else 15.0 * options.times
    paths = make_sources(cache_folder() / "bench_cameras", length_s + _MARGIN_S)
    report = options.report or Path(f"out/cameras_{options.what}.json")
    content = heading(["python", "-m", "bench.cameras", *sys.argv[1:]], version())
    with tempfile.TemporaryDirectory(prefix="carp_") as folder:
        if options.what == "record":
            found = measure_recording(Path(folder), paths, options.seconds)
            for name, figures in found.items():
                print(f"{name}: {figures}")
            bad = found["refused"] + sum(
                found[name][what]
                for name in (VIDEO, RECORDING)
                for what in ("lost", "repeated_or_backwards", "stamps_backwards")
            )
            content["recorded"] = found
        else:
            rows = measure_unplugging(Path(folder), paths, options.times, options.seed)
            bad = sum(not row["passed"] for row in rows)
            print(f"{len(rows) - bad} of {len(rows)} as expected")
            content["unplugged"] = rows
    write_report(report, content)
    print(f"report: {report}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
