"""Where `carp calibrate` puts a result, unless the rig would refuse to start with it."""

from __future__ import annotations

from pathlib import Path

from carp_ros.calibrated.result_file import AnyResult, content_of, write_result
from carp_ros.errors import CalibrationError
from carp_ros.rig import Rig, require_usable
from carp_ros.rig_file import calibration_folder


def result_folder(given: Path | None, rig: Rig) -> Path:
    """Return the folder for a rig's results."""
    return given or calibration_folder(rig.file.path)


def keep_result(folder: Path, name: str, result: AnyResult, rig: Rig) -> Path:
    """Write a result; return its file.

    Raises:
        CalibrationError: If a system of this rig would not start with it. The file that is there
            stays as it is.
    """
    try:
        require_usable(rig, name, content_of(result))
    except ValueError as error:
        raise CalibrationError(
            f"no result is written, as the rig would refuse it: {error}"
        ) from error
    path = folder / f"{name}.yaml"
    write_result(path, result)
    return path
