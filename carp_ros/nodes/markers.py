"""Markers for a 3-D viewer: the workspace box and the planned chunk."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from visualization_msgs.msg import Marker

from carp_ros.rig import LimitsConfig
from carp_ros.ros.messages import header
from carp_ros.types import Chunk

_LINE_M = 0.006
_SHOWN_S = 2


def workspace_marker(limits: LimitsConfig, stamp_ns: int, frame: str) -> Marker:
    """Return the box that the TCP stays inside, as a translucent cube in `frame`."""
    low, high = np.array(limits.workspace_min_m), np.array(limits.workspace_max_m)
    marker = Marker(header=header(stamp_ns, frame), ns="workspace", type=Marker.CUBE)
    middle, size = (low + high) / 2, high - low
    position, scale, colour = marker.pose.position, marker.scale, marker.color
    position.x, position.y, position.z = middle.tolist()
    scale.x, scale.y, scale.z = size.tolist()
    colour.r, colour.g, colour.b, colour.a = 0.2, 0.6, 0.9, 0.15
    marker.pose.orientation.w = 1.0
    return marker


def chunk_marker(chunk: Chunk, stamp_ns: int, frame: str) -> Marker:
    """Return a chunk's TCP positions in `frame` as a line, which viewers drop after two seconds."""
    marker = Marker(header=header(stamp_ns, frame), ns="chunk", type=Marker.LINE_STRIP)
    marker.pose.orientation.w = 1.0
    marker.scale.x = _LINE_M
    marker.lifetime = Duration(sec=_SHOWN_S)
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in chunk.positions.tolist()]
    colour = marker.color
    colour.r, colour.g, colour.b, colour.a = 1.0, 0.55, 0.1, 0.9
    return marker
