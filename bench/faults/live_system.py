"""One whole simulated system, brought up by `carp up`, with all its processes known."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import yaml

from carp_ros.errors import DeviceError
from carp_ros.share import share_folder

READY_WITHIN_S = 120.0
_STOPPED_WITHIN_S = 20.0
_READY = "carp up: ready"
_CAMERA_TIMEOUT_S = 1.0
_TRACEBACK = "Traceback (most recent call last)"


class LiveSystem:
    """A recording system.

    Args:
        folder: For its rig, its episodes, its logs and its temporary files.
        mode: Of `carp up`.
    """

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder = folder
        self.mode = mode
        self.rig_path = write_rig(folder)
        self.episodes = folder / "episodes"
        self.temporary = folder / "tmp"
        for place in (self.episodes, self.temporary):
            place.mkdir(exist_ok=True)
        self.log = folder / "up.log"
        self.known: dict[int, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0

    def start(self) -> None:
        """Bring it up.

        Raises:
            DeviceError: If it does not come up.
        """
        command = [sys.executable, "-m", "carp_ros.cli.main", "up", "--rig", str(self.rig_path)]
        command += ["--mode", self.mode, "--record", "--folder", str(self.episodes)]
        if self.mode == "policy":
            command += ["--task", "cup"]
        environment = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "ROS_LOG_DIR": str(self.folder / "ros_log"),
            "PYTHONUNBUFFERED": "1",
        }
        self.known = {}
        self._read = self.log.stat().st_size if self.log.exists() else 0
        begin = self._read
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=-3
            )
        deadline_s = time.monotonic() + READY_WITHIN_S
        while _READY not in self.log.read_text(errors="replace")[begin:]:
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.kill()
                last = self.log.read_text(errors="replace")[begin:].splitlines()[-5:]
                raise DeviceError(f"the system did not come up: {' / '.join(last)}")
            time.sleep(0.2)
        self.processes()
        self.new_lines()

    @property
    def up(self) -> int | None:
        """Number of the parent of all, while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def processes(self) -> dict[str, int]:
        """Return all processes that run, by name: `up`, the nodes, and what they started."""
        found: dict[str, int] = {}
        for pid in _below(self._process.pid) if self._process is not None else []:
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                name = _name_of(words.split("\x00"))
                found[name if name not in found else f"{name}_{pid}"] = pid
                self.known[pid] = name
        return found

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of each process."""
        return {name: figures_of(pid)["rss_mb"] for name, pid in self.processes().items()}

    def new_lines(self) -> list[str]:
        """Return what was written since the last call."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            data = log.read()
        whole = data.rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        return whole.decode(errors="replace").splitlines() if whole else []

    def stop(self) -> list[str]:
        """End it as Ctrl-C does, and return what is wrong with its end."""
        if self._process is None:
            return []
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> list[str]:
        """Wait for its end, and return what it left behind: processes and files."""
        assert self._process is not None
        deadline_s = time.monotonic() + _STOPPED_WITHIN_S
        left = self._left()
        while left and time.monotonic() < deadline_s:
            time.sleep(0.2)
            left = self._left()
        found = [f"still runs: {', '.join(left)}"] if left else []
        self.kill()
        host = yaml.safe_load(self.rig_path.read_text())["arm"]["host"]
        pids = {str(pid) for pid in self.known}
        for path in Path("/dev/shm").glob("carp_*"):
            if host in path.name or pids & set(re.split(r"[_.]", path.name)):
                found.append(f"left behind: {path}")
                path.unlink(missing_ok=True)
        for path in self.temporary.glob("carp*"):  # libraries keep theirs
            found.append(f"left behind: {path.name} in the temporary folder")
            subprocess.run(["rm", "-rf", str(path)], check=False)
        self._process = None
        return found

    def kill(self) -> None:
        """End all that is left of it."""
        for pid in [*self.known, *([self._process.pid] if self._process is not None else [])]:
            if is_running(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10.0)

    def _left(self) -> list[str]:
        assert self._process is not None
        self._process.poll()
        return [f"{name} ({pid})" for pid, name in self.known.items() if is_running(pid)]


def tracebacks(lines: list[str]) -> list[str]:
    """Return the last line of each traceback in a log."""
    found = []
    for place, line in enumerate(lines):
        if _TRACEBACK in line:
            name = line.partition("|")[0].strip()
            of_node = [text.partition("|")[2] for text in lines[place:] if text.startswith(name)]
            ends = [
                text.strip()
                for text in of_node
                if re.match(r" [\w.]+(Error|Exc|Interrupt|Handle)", text)
            ]
            found.append(f"{name}: {(ends or ['a traceback'])[0][:200]}")
    return found


def figures_of(pid: int) -> dict[str, float]:
    """Return what a process holds: memory in [MB], descriptors, threads."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kb = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
        return {
            "rss_mb": round(kb["Rss:"] * 1024e-6, 1),
            "pss_mb": round(kb["Pss:"] * 1024e-6, 1),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
        }
    return {"rss_mb": 0.0, "pss_mb": 0.0, "descriptors": 0, "threads": 0}


def write_rig(folder: Path) -> Path:
    """Write the simulated rig's file with a loopback address of this process's own.

    Its images are small and may be late: a machine that does other things, too, is no finding.
    """
    content = yaml.safe_load((share_folder() / "config" / "ur5e_sim.yaml").read_text())
    pid = os.getpid()
    host = f"127.{150 + (pid >> 16) % 40}.{(pid >> 8) % 256}.{pid % 254 + 1}"
    content["arm"]["host"] = content["gripper"]["host"] = host
    for camera in content["cameras"].values():
        camera |= {"width_px": 160, "height_px": 120, "rate_hz": 15.0}
    content["limits"]["camera_timeout_s"] = _CAMERA_TIMEOUT_S
    path = folder / "ur5e_sim.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))  # the first camera counts
    return path


def _below(pid: int) -> list[int]:
    """Return a process and all that it started, and these started, that still run."""
    if not is_running(pid):
        return []
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _below(int(child))
    return found


def is_running(pid: int) -> bool:
    """Tell whether a process runs: one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _name_of(words: list[str]) -> str:
    for word in words:
        if word.startswith("__node:="):
            return word.removeprefix("__node:=")
    modules = [word for word in words if word.startswith("carp_ros.")]
    if "carp_ros.cli.main" in modules:
        return "up"
    if modules:
        return modules[0].removeprefix("carp_ros.").replace(".", "_")
    text = " ".join(words)
    for name in ("resource_tracker", "servo", "writer", "spawn_main"):
        if name in text:
            return name
    return Path(words[0]).name or "unnamed"
