"""Tries cases, each in a process of its own that is forked warm, limited, and killed when late."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults.campaign import (
    Campaign,
    Case,
    Refused,
    Spoilt,
    Verdict,
    chance_of,
    mutation_of,
)
from carp_ros.errors import CarpError

PATIENCE_S = 5.0
MOST_MEMORY_MB = 1000.0
_ADDRESSES_MB = 2500
"""Beyond the parent's: room for threads' stacks and mapped files, not for what counts."""

_LONGEST_REFUSAL = 2000
_TMPFS = Path("/dev/shm")


@dataclass
class _Child:
    seed: int
    pid: int
    pipe: int
    folder: Path
    began_s: float
    text: bytes = b""
    cpu_s: float = 0.0
    worked_s: float = 0.0

    def is_late(self, patience_s: float) -> bool:
        """Tell whether it used its time, or did nothing for as long: a busy machine is no fault."""
        now_s, cpu_s = time.monotonic(), _cpu_s(self.pid)
        if cpu_s > self.cpu_s:
            self.cpu_s, self.worked_s = cpu_s, now_s
        return cpu_s > patience_s or now_s - max(self.worked_s, self.began_s) > patience_s


def try_cases(
    campaign: Campaign,
    sound: Path,
    seeds: Iterable[int],
    jobs: int = 1,
    patience_s: float = PATIENCE_S,
) -> Iterator[Case]:
    """Yield what comes of each case, in the order in which they end.

    Args:
        campaign: What is tried.
        sound: Folder that the campaign prepared.
        seeds: Of the cases.
        jobs: So many at a time.
        patience_s: How long a case may work, or do nothing.
    """
    left = iter(seeds)
    running: dict[int, _Child] = {}
    with (
        selectors.DefaultSelector() as ready,
        tempfile.TemporaryDirectory(
            prefix="faults_", dir=_TMPFS if _TMPFS.is_dir() else None
        ) as base,
    ):
        while True:
            while len(running) < jobs and (seed := next(left, None)) is not None:
                child = _start(campaign, sound, seed, Path(base))
                running[child.pipe] = child
                ready.register(child.pipe, selectors.EVENT_READ)
            if not running:
                break
            for pipe in [key.fd for key, _ in ready.select(0.1)]:
                data = os.read(pipe, 65536)
                running[pipe].text += data
                if not data:
                    ready.unregister(pipe)
                    yield _ended(campaign, running.pop(pipe))
            for child in [each for each in running.values() if each.is_late(patience_s)]:
                ready.unregister(child.pipe)
                yield _late(campaign, running.pop(child.pipe))


def try_sound(campaign: Campaign, sound: Path) -> None:
    """Try the input as it is.

    Raises:
        RuntimeError: If it is not harmless: then nothing can be learnt from spoiling it.
    """
    with tempfile.TemporaryDirectory(prefix="faults_") as base:
        folder = Path(base) / "case"
        folder.mkdir()
        campaign.copy(sound, folder)
        dangers = campaign.dangers(campaign.enter(folder), Spoilt("nothing"), folder)
    if dangers:
        raise RuntimeError(f"{campaign.name}: the sound input is called dangerous: {dangers}")


def in_a_process(action: Any, *arguments: Any) -> None:
    """Do something in a forked process, so that its threads and locks are not inherited by cases.

    Raises:
        RuntimeError: If it fails; its output says why.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("the sound input could not be made, or is not taken; see above")


def _late(campaign: Campaign, child: _Child) -> Case:
    took_s, what = _age_s(child), _said(child).get("what", "")
    _end(child)
    mutation = mutation_of(campaign.mutations, child.seed).__name__
    text = f"no end after {took_s:.1f} s, of which it worked {child.cpu_s:.1f} s"
    return Case(child.seed, mutation, what, "hang", text, round(took_s, 1), 0.0)


def _start(campaign: Campaign, sound: Path, seed: int, base: Path) -> _Child:
    folder = base / f"case_{seed}"
    folder.mkdir()
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            os.setsid()
            _quiet()
            _try(campaign, sound, seed, folder, writing)
        finally:
            os._exit(0)
    os.close(writing)
    return _Child(seed, pid, reading, folder, time.monotonic())


def _try(campaign: Campaign, sound: Path, seed: int, folder: Path, pipe: int) -> None:
    """Spoil, enter and judge, as the child."""
    mutation = mutation_of(campaign.mutations, seed)
    try:
        campaign.copy(sound, folder)
        spoilt = mutation(chance_of(campaign.name, seed), folder)
    except BaseException:
        _say(pipe, {"harness": traceback.format_exc()})
        return
    _say(pipe, {"what": spoilt.what})
    before_mb = _forget_peak()
    _limit()
    began_s = time.monotonic()
    verdict, detail = _verdict(campaign, spoilt, folder)
    seconds = time.monotonic() - began_s
    memory_mb = _status_mb("VmHWM") - before_mb
    if verdict in ("refused", "harmless", "unclear") and memory_mb > MOST_MEMORY_MB:
        verdict, detail = "memory", f"{memory_mb:.0f} MB; {verdict}: {detail}"
    found = {"verdict": verdict, "detail": detail, "seconds": seconds, "memory_mb": memory_mb}
    _say(pipe, found)


def _verdict(campaign: Campaign, spoilt: Spoilt, folder: Path) -> tuple[Verdict, str]:
    try:
        taken = campaign.enter(folder)
    except MemoryError as error:
        return "memory", repr(error)
    except (Refused, CarpError, ValueError) as error:
        if _out_of_memory(error):
            return "memory", str(error)
        return judge_refusal(str(error), campaign.names(folder))
    except BaseException as error:
        if _out_of_memory(error):
            return "memory", repr(error)
        return "traceback", _where(error)
    try:
        dangers = list(campaign.dangers(taken, spoilt, folder))
    except Refused as error:
        return judge_refusal(str(error), campaign.names(folder))
    except Exception as error:
        dangers = [f"the judge can't make sense of what was taken: {_where(error)}"]
    return ("dangerous", "; ".join(dangers)) if dangers else ("harmless", "")


def judge_refusal(text: str, names: Iterable[str]) -> tuple[Verdict, str]:
    """Return whether a refusal is one line that names its input."""
    if "\n" in text.strip() or len(text) > _LONGEST_REFUSAL:
        return "unclear", f"{len(text.splitlines())} lines, {len(text)} letters: {text[:300]}"
    if not any(name in text for name in names):
        return "unclear", f"does not name the input: {text[:300]}"
    return "refused", text


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _where(error: BaseException) -> str:
    """Return an error with the last place of ours that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "carp_ros" in f.filename]
    place = ours[-1] if ours else "nowhere of ours"
    return f"{type(error).__name__}: {str(error)[:300]} ({place})"


def _ended(campaign: Campaign, child: _Child) -> Case:
    took_s = _age_s(child)
    status = _end(child)
    said = _said(child)
    if "harness" in said:
        raise RuntimeError(f"{campaign.name}, seed {child.seed}: {said['harness']}")
    mutation = mutation_of(campaign.mutations, child.seed).__name__
    what = said.get("what", "")
    if "verdict" not in said:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        how = (
            signal.Signals(number).name
            if number
            else f"exit code {os.waitstatus_to_exitcode(status)}"
        )
        return Case(child.seed, mutation, what, "traceback", f"the process died: {how}", took_s, 0)
    return Case(
        child.seed,
        mutation,
        what,
        said["verdict"],
        said["detail"],
        round(said["seconds"], 3),
        round(said["memory_mb"], 1),
    )


def _end(child: _Child) -> int:
    """Kill what is left of a case and clear up; return the child's status."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    status = os.waitpid(child.pid, 0)[1]
    os.close(child.pipe)
    shutil.rmtree(child.folder, ignore_errors=True)
    return status


def _said(child: _Child) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for line in child.text.splitlines():
        said |= json.loads(line)
    return said


def _say(pipe: int, content: dict[str, Any]) -> None:
    text = json.dumps(content).encode() + b"\n"
    while text:
        text = text[os.write(pipe, text) :]


def _age_s(child: _Child) -> float:
    return time.monotonic() - child.began_s


def _cpu_s(pid: int) -> float:
    """Return how long a process has worked."""
    numbers = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def _limit() -> None:
    """Take away the room for what no input is worth."""
    most = int((_status_mb("VmSize") + _ADDRESSES_MB) * 1e6)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forget_peak() -> float:
    """Let the kernel count the peak from here, and return what there is, in [MB]."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return _status_mb("VmRSS")


def _status_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {name}")


def _quiet() -> None:
    """Say nothing on the terminal: libraries in C do, of broken files; die with the parent."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
