"""Markers for a 3-D viewer: the workspace box."""

from __future__ import annotations

import numpy as np
from visualization_msgs.msg import Marker, MarkerArray

from carp_ros.rig import LimitsConfig
from carp_ros.ros.messages import header


def workspace_markers(limits: LimitsConfig, stamp_ns: int, frame: str) -> MarkerArray:
    """Return the box that the TCP stays inside, as a translucent cube in `frame`."""
    low, high = np.array(limits.workspace_min_m), np.array(limits.workspace_max_m)
    marker = Marker(header=header(stamp_ns, frame), ns="workspace", type=Marker.CUBE)
    middle, size = (low + high) / 2, high - low
    position, scale, colour = marker.pose.position, marker.scale, marker.color
    position.x, position.y, position.z = middle.tolist()
    scale.x, scale.y, scale.z = size.tolist()
    colour.r, colour.g, colour.b, colour.a = 0.2, 0.6, 0.9, 0.15
    marker.pose.orientation.w = 1.0
    return MarkerArray(markers=[marker])
