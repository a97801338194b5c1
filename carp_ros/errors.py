"""What can go wrong with one input or one device, and be survived.

A `CarpError` means: this input was refused or this device is not there; the caller goes on. Its
message says the value, what was expected and what to do. A wrong argument or a wrong file is a
`ValueError` and stops the process before anything moves. Everything else is a bug.
"""


class CarpError(Exception):
    """Base of every error that a running system survives."""


class UsageError(ValueError):
    """What a process was given to begin with is wrong: started again it would end again."""


class ChunkError(CarpError):
    """An action chunk that the servo may not follow."""


class TwistError(CarpError):
    """A teleoperation twist that the servo may not follow."""


class MessageError(CarpError):
    """A message whose frame, names, encoding or numbers are not what its topic promises."""


class DeviceError(CarpError):
    """A device that does not answer, is not there or refuses a command."""


class PolicyError(CarpError):
    """An observation for which a policy has no answer that an arm could follow."""


class EpisodeError(CarpError):
    """A recorded episode that a dataset cannot take."""
