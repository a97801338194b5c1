"""Tests for hardware/realsense_time.py: one capture time from three clocks."""

import time

import pyrealsense2 as rs
import pytest

from carp_ros.hardware.realsense_time import CaptureTime

DOMAIN = rs.timestamp_domain
METADATA = rs.frame_metadata_value
WALL_NS = 1_800_000_000_000_000_000
PERIOD_NS = 33_333_333


class Frame:
    def __init__(self, stamp_ms, domain, **metadata):
        self.stamp_ms, self.domain, self.metadata = stamp_ms, domain, metadata

    def get_timestamp(self):
        return self.stamp_ms

    def get_frame_timestamp_domain(self):
        return self.domain

    def supports_frame_metadata(self, value):
        return value.name in self.metadata

    def get_frame_metadata(self, value):
        return self.metadata[value.name]


def capture_time(*, is_recording=False):
    return CaptureTime(
        rs, lambda ns: ns + WALL_NS, is_recording=is_recording, wall_ns=lambda: WALL_NS
    )


def test_global_time_is_ros_time():
    stamp_ns, remark = capture_time().of(
        Frame((WALL_NS - 12_000_000) * 1e-6, DOMAIN.global_time), time.monotonic_ns()
    )
    assert stamp_ns == pytest.approx(WALL_NS - 12_000_000, abs=1000)
    assert remark == ""


def test_a_stamp_is_never_in_the_future():
    stamp_ns, _ = capture_time().of(
        Frame((WALL_NS + 3_000_000) * 1e-6, DOMAIN.global_time), time.monotonic_ns()
    )
    assert stamp_ns == WALL_NS


def test_system_time_is_an_arrival_and_is_said_so_once():
    clock, frame = capture_time(), Frame(WALL_NS * 1e-6, DOMAIN.system_time)
    said = [clock.of(frame, time.monotonic_ns())[1] for _ in range(3)]

    assert "stamped with their arrival" in said[0]
    assert said[1:] == ["", ""]


@pytest.mark.parametrize(
    ("domain", "is_recording"), [(DOMAIN.hardware_clock, False), (DOMAIN.global_time, True)]
)
def test_a_clock_of_its_own_is_followed_by_arrivals(domain, is_recording):
    clock = capture_time(is_recording=is_recording)
    stamps_ns = []
    for number in range(300):
        arrived_ns = number * PERIOD_NS + (5_000_000 if number % 3 else 2_000_000)
        frame = Frame(7e6 + number * PERIOD_NS * 1e-6 * (1 + 1e-4), domain)
        stamp_ns, remark = clock.of(frame, arrived_ns)
        assert remark == ""
        stamps_ns.append(stamp_ns)
    errors_ns = [stamp - WALL_NS - n * PERIOD_NS for n, stamp in enumerate(stamps_ns)]
    assert max(abs(error - 2_000_000) for error in errors_ns[10:]) < 600_000


def test_a_stamp_far_from_this_machine_s_clock_is_taken_for_another_clock_and_said():
    stamp_ns, remark = capture_time().of(Frame(5e6, DOMAIN.global_time), 1000)

    assert stamp_ns == WALL_NS + 1000
    assert "taken for a clock of its own" in remark


@pytest.mark.parametrize("domain", [DOMAIN.global_time, DOMAIN.hardware_clock])
def test_the_middle_of_the_exposure_counts_where_the_metadata_tell_it(domain):
    known = {"frame_timestamp": 1_000_000, "sensor_timestamp": 991_500}
    at_readout, _ = capture_time().of(Frame(WALL_NS * 1e-6, domain), 0)
    stamp_ns, _ = capture_time().of(Frame(WALL_NS * 1e-6, domain, **known), 0)

    assert at_readout - stamp_ns == 8_500_000


def test_metadata_that_can_not_be_right_are_left_out():
    known = {"frame_timestamp": 1_000_000, "sensor_timestamp": 5_000_000}
    at_readout, _ = capture_time().of(Frame(WALL_NS * 1e-6, DOMAIN.global_time), 0)
    stamp_ns, _ = capture_time().of(Frame(WALL_NS * 1e-6, DOMAIN.global_time, **known), 0)

    assert at_readout == stamp_ns
