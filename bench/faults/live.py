"""Runs campaigns on a running simulated system, and says what came of each case.

The system is recording and its arm moves, under the policy or under the scripted operator, a block
of seeds each. After a case it must move again, and nothing may have enabled itself.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.faults.campaign import Case, Chance, Verdict, chance_of
from bench.faults.live_cases import Act, NoAnswer, bring_back, lifecycle, message, service
from bench.faults.live_kills import kill_case
from bench.faults.live_system import LiveSystem, tracebacks
from bench.faults.watch import Watch
from carp_ros.errors import DeviceError
from carp_ros.rig import load_rig
from carp_ros.ros.spinning_node import taking_part

MODES = ("policy", "demonstrate")
BLOCK = 25
_OBSERVE_S = 0.5
_MOST_MB = 1000.0
_MAKE: dict[str, Callable[[Chance, Watch], Act]] = {
    "message": message,
    "service": service,
    "lifecycle": lifecycle,
}


def run_live(kind: str, seeds: range, minutes: float) -> Iterator[Case]:
    """Try cases on a running system, and yield what comes of each.

    Args:
        kind: `message`, `service`, `lifecycle` or `kill`.
        seeds: Of the cases.
        minutes: Stop after this time; the seeds that are left are for another run.
    """
    until_s = time.monotonic() + minutes * 60
    own_domain()
    left = list(seeds)
    while left and time.monotonic() < until_s:
        mode = MODES[left[0] // BLOCK % 2]
        with _system(mode) as (system, watch):
            if not watch.ensure_moving(60.0):
                raise DeviceError(f"the sound system does not move: {watch.problem}")
            base_mb = system.memory_mb()
            while left and MODES[left[0] // BLOCK % 2] == mode and time.monotonic() < until_s:
                seed = left.pop(0)
                if kind == "kill":
                    case, whole = kill_case(seed, system, watch)
                else:
                    case, whole = _case(kind, seed, system, watch, base_mb)
                yield case
                if not whole:
                    break


def _case(
    kind: str, seed: int, system: LiveSystem, watch: Watch, base_mb: dict[str, float]
) -> tuple[Case, bool]:
    """Return what came of a case, and whether the system is of further use."""
    names = set(system.processes())
    system.new_lines()
    watch.mark()
    act = _MAKE[kind](chance_of(kind, seed), watch)
    begin_s = time.monotonic()
    said, silence = "", ""
    try:
        said = act.do()
    except (NoAnswer, DeviceError) as error:
        silence = str(error)
    time.sleep(_OBSERVE_S)
    dangers = watch.dangers()
    lines = system.new_lines()
    moves = False
    if system.up is not None and not tracebacks(lines):
        absent = bring_back(watch) if kind == "lifecycle" else ""
        moves = not absent and watch.ensure_moving(runs=lambda: system.up is not None)
        dangers += [text for text in watch.dangers() if text not in dangers]
        watch.problem = absent or watch.problem
        lines += system.new_lines()
    seconds = round(time.monotonic() - begin_s, 1)
    grown = {n: mb - base_mb.get(n, mb) for n, mb in system.memory_mb().items()}
    largest = max(grown, key=lambda name: grown[name], default="")
    most_mb = grown.get(largest, 0.0)
    lost = sorted(names - set(system.processes()))
    verdict, detail = _judged(
        system, lines, dangers, silence, moves, watch, lost, (largest, most_mb), said
    )
    case = Case(seed, act.name, act.what[:300], verdict, detail[:600], seconds, round(most_mb, 1))
    return case, verdict in ("refused", "harmless", "unclear") or (verdict == "dangerous" and moves)


def _judged(
    system: LiveSystem,
    lines: list[str],
    dangers: list[str],
    silence: str,
    moves: bool,
    watch: Watch,
    lost: list[str],
    grown: tuple[str, float],
    said: str,
) -> tuple[Verdict, str]:
    errors = tracebacks(lines)
    if dangers:
        return "dangerous", "; ".join([*dangers[:3], *errors[:1]])
    if system.up is None:
        return "traceback", f"the system ended: {' / '.join([*errors[:2], *lines[-2:]])}"
    if errors:
        return "traceback", "; ".join(errors[:3])
    if silence:
        return "hang", silence
    if not moves:
        return "hang", f"does not move again: {watch.problem}"
    if lost:
        return "traceback", f"ended and did not come back: {', '.join(lost)}"
    if grown[1] > _MOST_MB:
        return "memory", f"{grown[0]} has {grown[1]:.0f} MB more"
    told = [line for line in lines if "[WARN]" in line or "[ERROR]" in line]
    if told or "no:" in said or "no" in said.removeprefix("answers: ").split(", "):
        return "refused", said or told[0]
    return "harmless", said


@contextmanager
def _system(mode: str) -> Iterator[tuple[LiveSystem, Watch]]:
    with tempfile.TemporaryDirectory(prefix="faults_", ignore_cleanup_errors=True) as folder:
        system = LiveSystem(Path(folder), mode)
        try:
            system.start()
            rig = load_rig(system.rig_path)
            with taking_part(lambda: Watch(rig, mode)) as watch:
                yield system, watch
        finally:
            system.stop()


def own_domain() -> None:
    """Speak in a ROS domain in which nobody else is, most likely."""
    if not os.environ.get("ROS_DOMAIN_ID"):
        os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(60, 99))
