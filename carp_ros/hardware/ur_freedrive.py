"""How a UR is freed for a hand: wholly, or only along and about some axes.

Of whole freedrive, `teach_mode` is URScript's oldest form, which every controller has.
`freedrive_mode`, which takes axes, came later, and ur-rtde's program leaves it out on controllers
before PolyScope 5.10: there, it reports success, and the arm stays stiff.
"""

from __future__ import annotations

import logging
import math

from rtde_control import RTDEControlInterface
from rtde_receive import RTDEReceiveInterface

from carp_ros.errors import DeviceError
from carp_ros.hardware.ur_dashboard import Dashboard
from carp_ros.rig_devices import UR_AXES, UrArmConfig

_log = logging.getLogger(__name__)

_POLYSCOPE_WITH_AXES = (5, 10)
_UR_BASE = [0.0] * 6  # its axes are the lines of base_link's, two of them reversed
_TOO_SINGULAR = 2  # URScript's get_freedrive_status


class Freedrive:
    """The freedrive of a rig's UR arm.

    Args:
        config: The rig's `arm` section.

    Attributes:
        variables: RTDE outputs that it needs.
    """

    def __init__(self, config: UrArmConfig) -> None:
        self._free = [int(axis in config.guided_axes) for axis in UR_AXES]
        self._axes = ", ".join(config.guided_axes)
        self._in_tool = config.guided_frame == "tool"
        self._host = config.host
        self.variables = ["actual_TCP_pose"] if self._in_tool else []

    def require_support(self, dashboard: Dashboard) -> None:
        """Raise if the controller is too old for the axes that the rig frees."""
        if not all(self._free) and dashboard.polyscope_version < _POLYSCOPE_WITH_AXES:
            major, minor = dashboard.polyscope_version[:2]
            raise DeviceError(
                f"the arm at {self._host} has PolyScope {major}.{minor}, but arm.guided_axes frees"
                f" only {self._axes}; expected PolyScope 5.10 or later: update it, or leave the key"
                " out, which frees the whole arm"
            )

    def begin(self, control: RTDEControlInterface, receive: RTDEReceiveInterface) -> bool:
        """Free the arm; return whether the controller's program confirms it.

        Args:
            control: Its program must move nothing.
            receive: Tells where the tool is; with `variables`.

        Raises:
            DeviceError: If the controller does not know where the tool is.
        """
        if all(self._free):
            return control.teachMode()
        feature = receive.getActualTCPPose() if self._in_tool else _UR_BASE
        if not math.isfinite(sum(feature)):
            raise DeviceError(
                f"the arm at {self._host} reports its tool at {feature}; expected finite numbers"
            )
        if not control.freedriveMode(self._free, feature):
            return False
        try:
            resists = control.getFreedriveStatus() == _TOO_SINGULAR
        except RuntimeError:  # the program ended meanwhile
            return False
        if resists:
            _log.warning(
                "the arm is free along %s, but too close to a singularity: it resists", self._axes
            )
        return True

    def end(self, control: RTDEControlInterface) -> bool:
        """Hold the arm; return whether the controller's program confirms it."""
        return control.endTeachMode() if all(self._free) else control.endFreedriveMode()
