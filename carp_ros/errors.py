"""Errors about one input or one device, which a running system survives.

A `CarpError` means that an input was refused or a device is unavailable; the caller goes on. Its
text gives the value, what was expected and what to do. A wrong argument or a wrong file is a
`ValueError` and stops the process before anything moves. Any other exception is a bug.
"""


class CarpError(Exception):
    """Base of every error that a running system survives."""


class UsageError(ValueError):
    """A process was started with wrong arguments or files, so restarting it would not help."""


class ChunkError(CarpError):
    """An action chunk that the servo may not follow."""


class TwistError(CarpError):
    """A teleoperation twist that the servo may not follow."""


class MessageError(CarpError):
    """A message whose frame, names, encoding or numbers are not those expected on its topic."""


class DeviceError(CarpError):
    """A device that is missing, does not answer or refuses a command."""


class PolicyError(CarpError):
    """An observation for which a policy produced no chunk that an arm could follow."""


class EpisodeError(CarpError):
    """A recorded episode that cannot be added to a dataset."""


class CalibrationError(CarpError):
    """Views or readings that do not determine what was to be calibrated."""
