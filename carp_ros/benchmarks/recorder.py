"""Lost messages and cost of the recorder under full load; for `carp bench --what recorder`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carp_ros.benchmarks.full_size_rig import HEIGHT_PX, WIDTH_PX, full_size_rig
from carp_ros.console.node_log import NodeLog
from carp_ros.reports.recorder import RecorderStatus
from carp_ros.rig import load_rig
from carp_ros.system.bringup import NodeProcess
from carp_ros.system.running_system import RunningSystem

_WARM_UP_S = 2.0


@dataclass(frozen=True)
class Load:
    """Results of the recorder.

    Attributes:
        images: jpeg or raw.
        seconds: Of the episode.
        lost: By stream, messages missing between its first and its last.
        written: By stream, messages recorded.
        refused: Messages dropped because the queue to the writer was full.
        most_backlog_mb: Largest backlog of the writer.
        received_mb_s: Of images.
        written_mb_s: To the disk.
        recorder_cpu, writer_cpu: Of one core.
        verdict: On the episode's quality.
        reasons: Of the verdict.
        load: The machine's one-minute load average at the end.
    """

    images: str
    seconds: float
    lost: dict[str, int]
    written: dict[str, int]
    refused: int
    most_backlog_mb: float
    received_mb_s: float
    written_mb_s: float
    recorder_cpu: float
    writer_cpu: float
    verdict: str
    reasons: list[str]
    load: float

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost."""
        return not self.refused and not any(self.lost.values())


def recorder_loads(path: Path, seconds: float, folder: Path | None) -> Iterator[Load]:
    """Yield the results of both image formats.

    Args:
        path: A rig's file; its cameras are set to full size.
        seconds: Duration of each episode.
        folder: On the disk to measure; None for a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="carp_", dir=folder) as place:
        rig = full_size_rig(path, Path(place))
        for images in ("raw", "jpeg"):
            yield _measure(rig, images, seconds, Path(place) / "episodes")


def synthetic_rig(path: Path) -> NodeProcess:
    """Return the process that replaces a rig with its messages; `path` is of the rig's file."""
    name = "synthetic_node"
    return NodeProcess(name, name, {"rig": str(path)}, package="carp_ros.benchmarks")


def _measure(path: Path, images: str, seconds: float, folder: Path) -> Load:
    from carp_ros.clients.recorder_client import recorder_client  # after `enter`

    nodes = (
        synthetic_rig(path),
        NodeProcess("recorder_node", "recorder_node", {"rig": str(path), "folder": str(folder)}),
    )
    log = NodeLog(verbose=False)
    try:
        with RunningSystem(nodes, log) as system, recorder_client() as recorder:
            recorder.activate()
            recorder.configure(images=images)
            time.sleep(_WARM_UP_S)
            node = system.pid("recorder_node")
            (writer,) = _children(node)
            recorder.start()
            before, begin_s = (_cpu_s(node), _cpu_s(writer)), time.monotonic()
            time.sleep(seconds)
            after, wall_s = (_cpu_s(node), _cpu_s(writer)), time.monotonic() - begin_s
            said = recorder.stop()
            recorder.discard()
    except BaseException:
        log.replay()
        raise
    of_cameras = sum(said.received[name] for name in load_rig(path).cameras)
    return _load(images, said, of_cameras, [(b - a) / wall_s for a, b in zip(before, after)])


def _load(images: str, said: RecorderStatus, of_cameras: int, cpu: list[float]) -> Load:
    received, expected = said.received, said.expected
    bytes_in = of_cameras * WIDTH_PX * HEIGHT_PX * 3
    return Load(
        images=images,
        seconds=said.seconds,
        lost={name: expected[name] - received[name] for name in received},
        written=received,
        refused=said.lost,
        most_backlog_mb=round(said.most_backlog_bytes / 1e6, 2),
        received_mb_s=round(bytes_in / 1e6 / said.seconds, 2),
        written_mb_s=round(said.size_bytes / 1e6 / said.seconds, 2),
        recorder_cpu=round(cpu[0], 3),
        writer_cpu=round(cpu[1], 3),
        verdict=said.verdict,
        reasons=list(said.reasons),
        load=os.getloadavg()[0],
    )


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    ]


def _cpu_s(pid: int) -> float:
    """Return the CPU time that a process, with all threads, has used, in [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
