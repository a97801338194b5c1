import dataclasses
from typing import ClassVar

import pytest

from carp_ros.rig_devices import LONGEST_RECOVERY_S, ArmSection, Ros2ControlArmConfig, UrArmConfig


@dataclasses.dataclass(frozen=True)
class OtherArm(ArmSection):
    """An arm of another make, without a watchdog of its own."""

    robots: ClassVar[tuple[str, ...]] = ("fr3",)
    fastest_hz: ClassVar[float] = 1000.0
    recovery_s: ClassVar[float] = 10.0
    ports: ClassVar[tuple[int, ...]] = (1337,)
    driver: str = "other"


def test_an_arm_that_fits_its_robot_and_rate_has_nothing_to_say():
    assert list(UrArmConfig().unfit_for("ur5e", 500.0)) == []
    assert list(OtherArm().unfit_for("fr3", 1000.0)) == []


@pytest.mark.parametrize(
    ("arm", "robot", "rate_hz", "said"),
    [
        (UrArmConfig(), "fr3", 500.0, "robot is fr3, but arm.driver is ur"),
        (
            OtherArm(),
            "ur5e",
            500.0,
            "robot is ur5e, but arm.driver is other, which supports only fr3",
        ),
        (UrArmConfig(), "ur5e", 501.0, "arm.driver ur takes at most 500 targets per second"),
        (UrArmConfig(watchdog_hz=50.0), "ur5e", 200.0, "arm.watchdog_hz is 50 Hz"),
        (UrArmConfig(state_timeout_s=0.02), "ur5e", 200.0, "arm.state_timeout_s is 50 Hz"),
        (OtherArm(state_timeout_s=0.02), "fr3", 200.0, "arm.state_timeout_s is 50 Hz"),
        (Ros2ControlArmConfig(), "panda", 500.0, "arm.driver is ros2_control"),
    ],
)
def test_what_an_arm_can_not_do_is_told_with_its_keys(arm, robot, rate_hz, said):
    (reason,) = arm.unfit_for(robot, rate_hz)

    assert said in reason


def test_who_waits_for_any_arm_waits_as_long_as_the_slowest_recovers():
    assert UrArmConfig.recovery_s <= LONGEST_RECOVERY_S
