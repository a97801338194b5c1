"""Writes an episode, five times faster than its stamps say, and tells how far it is."""

import os
import sys
import time
from pathlib import Path

from carp_ros.recording.bag import BagWriter
from carp_ros.recording.episode import EpisodeInfo, topics

PERIOD_NS, HASTE, FLUSH_TICKS = 33_333_333, 5, 30

cameras = ("wrist_cam", "third_cam")
info = EpisodeInfo("ur5e_sim", "cup", "", "demonstrator", seed=1, software="", started_ns=0)
writer = BagWriter(Path(sys.argv[1]), topics(cameras, compressed=False), info)
pixels = os.urandom(20_000)
begin_s = time.monotonic()
tick = 0
while True:
    for camera in cameras:
        writer.write(f"/{camera}/image_raw", tick * PERIOD_NS, pixels)
    if tick % FLUSH_TICKS == FLUSH_TICKS - 1:
        writer.flush()
    os.write(1, b"%d\n" % (tick * PERIOD_NS))
    tick += 1
    time.sleep(max(0.0, begin_s + tick * PERIOD_NS * 1e-9 / HASTE - time.monotonic()))
