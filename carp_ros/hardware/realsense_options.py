"""Locks what a RealSense camera would otherwise adjust by itself, and says what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from carp_ros.refusal import in_words
from carp_ros.rig_cameras import RealSenseCameraConfig

_COLOUR_EXPOSURE_US = 100.0  # unit of the exposure of an RGB sensor; a stereo module's is 1 us
_DEPTH_UNIT_M = 0.001


def colour_sensor(rs: Any, device: Any) -> Any:
    """Return the sensor that takes the colour images, which of a D405 is its stereo module."""
    for sensor in device.query_sensors():
        if any(p.stream_type() == rs.stream.color for p in sensor.get_stream_profiles()):
            return sensor
    return None


def set_options(rs: Any, device: Any, config: RealSenseCameraConfig) -> list[str]:
    """Set the options that a rig's file asks for; return those that the device does not accept.

    Automatic exposure keeps the frame rate: it may not lengthen the exposure beyond a period.

    Args:
        rs: The module pyrealsense2.
        device: The device, not streaming yet.
        config: The rig's settings.
    """
    sensor = colour_sensor(rs, device)
    if sensor is None:
        return ["it has no colour sensor whose options could be set"]
    option = rs.option
    unit_us = 1.0 if sensor.is_depth_sensor() else _COLOUR_EXPOSURE_US
    exposure, kelvin = config.exposure_us, config.white_balance_k
    refused = [
        *_lock(
            sensor,
            f"exposure_us {exposure}",
            option.enable_auto_exposure,
            option.exposure,
            None if exposure is None else exposure / unit_us,
        ),
        *_lock(
            sensor,
            f"white_balance_k {kelvin}",
            option.enable_auto_white_balance,
            option.white_balance,
            kelvin,
        ),
    ]
    if config.gain is not None:
        refused += _ask(sensor, f"gain {config.gain}", option.gain, config.gain)
    for quietly, value in ((option.auto_exposure_priority, 0.0), (option.global_time_enabled, 1.0)):
        if sensor.supports(quietly):
            refused += _ask(sensor, f"{quietly.name} {value}", quietly, value)
    if config.depth:
        refused += _unit(rs, device)
    return refused


def _lock(
    sensor: Any, wish: str, automatic: Any, locked: Any, value: float | None
) -> Iterator[str]:
    """Switch an automatism off and set its value, or switch it on if there is no value."""
    if value is not None:
        if sensor.supports(automatic):
            yield from _ask(sensor, f"{automatic.name} 0 for {wish}", automatic, 0.0)
        yield from _ask(sensor, wish, locked, value)
    elif sensor.supports(automatic):
        yield from _ask(sensor, f"{automatic.name} 1", automatic, 1.0)


def _unit(rs: Any, device: Any) -> Iterator[str]:
    for sensor in device.query_sensors():
        if not sensor.supports(rs.option.depth_units):
            continue
        given = sensor.get_option(rs.option.depth_units)
        if abs(given - _DEPTH_UNIT_M) > 1e-6:
            yield from _ask(sensor, "depth_units 0.001", rs.option.depth_units, _DEPTH_UNIT_M)


def _ask(sensor: Any, wish: str, option: Any, value: float) -> Iterator[str]:
    """Set an option and read it back; yield why the device has another value.

    Args:
        sensor: The device's sensor.
        wish: Key and value as in the rig's file.
        option: The option.
        value: Its value in the device's own unit, which ranges are told in.
    """
    start = f"{wish} was not accepted"
    if not sensor.supports(option):
        yield f"{start}; the device has no such setting"
        return
    try:
        allowed = sensor.get_option_range(option)
        if not allowed.min <= value <= allowed.max:
            yield f"{start} as {value:g}; the device takes {allowed.min:g} to {allowed.max:g}"
            return
        if not sensor.is_option_read_only(option):
            sensor.set_option(option, value)
        given = sensor.get_option(option)
    except RuntimeError as error:
        yield f"{start}: {in_words(error)}"
        return
    if abs(given - value) > max(0.5 * allowed.step, 1e-6 * abs(value)):
        yield f"{start} as {value:g}; the device has {given:g}"
