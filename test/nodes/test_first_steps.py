"""Whoever has brought a system up is told how the arm is let move."""

from typing import get_args

import pytest

from carp_ros.nodes.first_steps import first_steps
from carp_ros.system.bringup import SystemMode


@pytest.mark.parametrize("mode", get_args(SystemMode))
@pytest.mark.parametrize(("namespace", "prefix"), [("/", "/"), ("/lab/left", "/lab/left/")])
def test_every_mode_is_told_by_the_names_in_force(mode, namespace, prefix):
    text = first_steps(mode, namespace)
    source = "policy" if mode == "policy" else "teleop"
    assert f"service call {prefix}control/select_{source} std_srvs/srv/Trigger" in text
    assert f"service call {prefix}control/enable std_srvs/srv/SetBool '{{data: true}}'" in text
    assert (f"{prefix}cell/scatter" in text) == (mode == "demonstrate")
