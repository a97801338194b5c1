import math

import numpy as np
import pytest

from carp_ros.sim.vendor_driver import VendorDriver

NAMES = ("a", "b")
PERIOD_S = 0.002


def make_driver(**changes) -> VendorDriver:
    return VendorDriver(NAMES, np.zeros(2), **changes)


def run(driver: VendorDriver, duration_s: float) -> None:
    for _ in range(round(duration_s / PERIOD_S)):
        driver.cycle(PERIOD_S)


def test_the_robot_follows_with_its_time_constant_and_holds_the_newest_command_for_ever():
    driver = make_driver()
    driver.take([1.0, -1.0])
    run(driver, driver.time_constant_s)
    assert driver.joints == pytest.approx((1.0 - math.exp(-1.0)) * np.array([1.0, -1.0]))
    run(driver, 10.0)
    assert driver.joints == pytest.approx([1.0, -1.0])


@pytest.mark.parametrize("command", [[1.0], [1.0, 2.0, 3.0], [1.0, math.nan], [math.inf, 0.0]])
def test_a_command_that_the_real_controller_drops_is_dropped(command):
    driver = make_driver()
    driver.take(command)
    run(driver, 0.1)
    assert not driver.joints.any()
    assert driver.commands == 0


def test_a_trajectory_names_its_joints_in_any_order():
    driver = make_driver()
    driver.take([1.0, -1.0], ["b", "a"])
    run(driver, 1.0)
    assert driver.joints == pytest.approx([-1.0, 1.0])


def test_a_controller_that_is_activated_has_forgotten_its_command():
    driver = make_driver()
    driver.take([1.0, 0.0])
    driver.activate(False)
    driver.take([2.0, 0.0])
    driver.activate(True)
    run(driver, 1.0)
    assert not driver.joints.any()


def test_it_tells_other_joints_too_and_what_is_wrong_with_it():
    driver = make_driver(extra=("finger",), state_order=("b", "a"))
    names, positions, velocities = driver.joint_state() or ([], [], [])
    assert names == ["finger", "b", "a"]
    assert len(positions) == len(velocities) == 3
    driver.faults.missing, driver.faults.silent_cycles = "a", 1
    assert driver.joint_state() is None
    names, _, _ = driver.joint_state() or ([], [], [])
    assert names == ["finger", "b"]
