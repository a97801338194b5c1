"""Tests for hardware/realsense_options.py on librealsense's software device."""

import pyrealsense2 as rs
import pytest

from carp_ros.hardware.realsense_options import set_options
from carp_ros.rig_cameras import RealSenseCameraConfig

from ..realsense_recordings import SoftwareCamera


def span(low, high, step, value):
    allowed = rs.option_range()
    allowed.min, allowed.max, allowed.step, allowed.default = low, high, step, value
    return allowed


@pytest.fixture
def device():
    """A camera with the options of a D435's colour sensor, all automatic."""
    camera = SoftwareCamera()
    for option, allowed in (
        (rs.option.enable_auto_exposure, span(0.0, 1.0, 1.0, 1.0)),
        (rs.option.exposure, span(1.0, 10000.0, 1.0, 156.0)),
        (rs.option.gain, span(0.0, 128.0, 1.0, 64.0)),
        (rs.option.enable_auto_white_balance, span(0.0, 1.0, 1.0, 1.0)),
        (rs.option.white_balance, span(2800.0, 6500.0, 10.0, 4600.0)),
        (rs.option.auto_exposure_priority, span(0.0, 1.0, 1.0, 1.0)),
    ):
        camera.colour.add_option(option, allowed, True)
    return camera


def test_what_is_asked_for_is_locked_and_what_is_not_stays_automatic(device):
    config = RealSenseCameraConfig(exposure_us=8000.0, gain=16.0)

    assert set_options(rs, device.device, config) == []
    values = [
        device.colour.get_option(option)
        for option in (
            rs.option.enable_auto_exposure,
            rs.option.exposure,
            rs.option.gain,
            rs.option.enable_auto_white_balance,
            rs.option.auto_exposure_priority,
        )
    ]
    assert values == [0.0, 80.0, 16.0, 1.0, 0.0]  # exposure in units of 100 us


def test_a_value_out_of_range_is_said_with_the_range_and_the_others_are_set(device):
    config = RealSenseCameraConfig(white_balance_k=10_000.0, gain=20.0)

    assert set_options(rs, device.device, config) == [
        "white_balance_k 10000.0 was not accepted as 10000; the device takes 2800 to 6500"
    ]
    assert device.colour.get_option(rs.option.gain) == 20.0


def test_a_device_without_options_is_told_about_only_where_one_was_asked_for():
    bare = SoftwareCamera()

    assert set_options(rs, bare.device, RealSenseCameraConfig()) == []
    (said,) = set_options(rs, bare.device, RealSenseCameraConfig(gain=3.0))
    assert said == "gain 3.0 was not accepted; the device has no such setting"


def test_an_option_that_can_only_be_read_is_said(device):
    camera = SoftwareCamera()
    camera.colour.add_option(rs.option.gain, span(0.0, 128.0, 1.0, 64.0), False)

    (said,) = set_options(rs, camera.device, RealSenseCameraConfig(gain=3.0))
    assert said.startswith("gain 3.0 was not accepted")
