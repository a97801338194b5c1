"""Ends or suspends a process of a running system at a random moment of motion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from bench.faults.campaign import Case, Verdict, chance_of
from bench.faults.live_system import LiveSystem, is_running, tracebacks
from bench.faults.watch import Watch
from carp_ros.recording.bag import read_messages

_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
_OBSERVE_S = 3.0
_BACK_WITHIN_S = 60.0
_SETTLED_WITHIN_S = 30.0
_UNMISSED = ("resource_tracker", "spawn_main")  # of Python itself
_UNSAVED_S = 3.0
"""What a recorder may lose of an episode when it dies: what it had not flushed."""


def kill_case(seed: int, system: LiveSystem, watch: Watch) -> tuple[Case, bool]:
    """Return what came of a kill, and whether the system is of further use."""
    chance = chance_of("kill", seed)
    number = _SIGNALS[int(chance.integers(len(_SIGNALS)))]
    suspended_s = float(chance.uniform(0.2, 5.0)) if number == signal.SIGSTOP else 0.0
    if not watch.ensure_moving():
        problem = f"did not move before: {watch.problem}"
        return Case(seed, number.name, "nothing", "hang", problem, 0, 0), False
    time.sleep(float(chance.uniform(0.0, 1.5)))
    processes = system.processes()
    names = sorted(processes)
    name = names[int(chance.integers(len(names)))]
    what = f"{number.name} of {name}" + (f" for {suspended_s:.1f} s" if suspended_s else "")
    episodes = {path.name for path in system.episodes.iterdir() if path.is_dir()}
    system.new_lines()
    watch.mark()
    begin_s = time.monotonic()
    killed_ns = time.time_ns()
    with suppress(ProcessLookupError):
        os.kill(processes[name], number)
        if suspended_s:
            time.sleep(suspended_s)
            os.kill(processes[name], signal.SIGCONT)
    time.sleep(_OBSERVE_S)
    unsettled = "" if suspended_s else _unsettled(system, name, processes[name])
    dangers, lines, left = watch.dangers(), system.new_lines(), []
    alive, moves = system.up is not None and not unsettled, False
    if alive:
        moves = watch.ensure_moving(_BACK_WITHIN_S, lambda: system.up is not None)
        dangers += [text for text in watch.dangers() if text not in dangers]
        lines += system.new_lines()
        alive = system.up is not None
    if not moves:
        left = system.stop() if system.up is not None else system.ended()
    dangers += left + _lost(system, episodes, killed_ns, finished=not moves)
    errors = [text for text in tracebacks(lines) if not text.startswith(name)]
    problem = unsettled or watch.problem
    verdict, detail = _judged(dangers, errors, alive or bool(unsettled), moves, problem, lines)
    seconds = round(time.monotonic() - begin_s, 1)
    return Case(seed, number.name, what, verdict, detail[:600], seconds, 0.0), moves


def _unsettled(system: LiveSystem, name: str, pid: int) -> str:
    """Wait until a killed process is gone, and either came back or the system ended; or why not."""
    deadline_s = time.monotonic() + _SETTLED_WITHIN_S
    while is_running(pid):
        if time.monotonic() > deadline_s:
            return f"{name} still runs {_SETTLED_WITHIN_S:.0f} s after it was asked to end"
        time.sleep(0.1)
    while system.up is not None and name not in _UNMISSED and name not in system.processes():
        if time.monotonic() > deadline_s:
            return f"{name} did not come back within {_SETTLED_WITHIN_S:.0f} s, nor did all end"
        time.sleep(0.1)
    return ""


def _judged(
    dangers: list[str],
    errors: list[str],
    alive: bool,
    moves: bool,
    problem: str,
    lines: list[str],
) -> tuple[Verdict, str]:
    if dangers:
        return "dangerous", "; ".join([*dangers[:4], *errors[:1]])
    if errors:
        return "traceback", "; ".join(errors[:3])
    if not alive:
        said = [line for line in lines if "ended" in line or "[ERROR]" in line]
        return "refused", f"the system ended, and says: {said[-1] if said else lines[-1:]}"
    if not moves:
        said = [line for line in lines if "ended" in line or "was lost" in line]
        return "hang", f"up, but does not move again: {problem} {said[-1:]}"
    return "harmless", "moves again after an enable"


def _lost(system: LiveSystem, before: set[str], killed_ns: int, *, finished: bool) -> list[str]:
    """Return what is missing of the episodes that were there, the last one up to the kill.

    An episode whose folder the writer makes only after the kill had been asked for before it.
    """
    now = {path.name for path in system.episodes.iterdir() if path.is_dir()}
    found = [f"episode {name} is gone" for name in sorted(before - now)]
    last = max(before, default="")
    if not last or not finished:
        return found
    newest_ns = 0
    for name in sorted(name for name in now if name >= last):
        folder = system.episodes / name
        command = [sys.executable, "-m", "carp_ros.cli.main", "recover", str(folder)]
        recovered = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if recovered.returncode:
            said = (recovered.stderr or recovered.stdout).strip()
            found.append(f"episode {name} can't be recovered: {said[-200:]}")
            return found
        try:
            stamps = [stamp for _, stamp, _ in read_messages(folder) if stamp <= killed_ns]
        except ValueError as error:
            return [*found, f"episode {name} has nothing: {error}"]
        newest_ns = max([newest_ns, *stamps])
    if newest_ns < killed_ns - _UNSAVED_S * 1e9:
        found.append(f"episode {last} lacks {(killed_ns - newest_ns) * 1e-9:.1f} s before the kill")
    return found
