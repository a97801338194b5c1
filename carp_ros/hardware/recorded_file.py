"""A file in place of a device: it is unplugged by removing it."""

from __future__ import annotations

from pathlib import Path

from carp_ros.errors import DeviceError
from carp_ros.refusal import named


class RecordedFile:
    """A recording, and whether it is still the file that was opened.

    Args:
        path: The file, or a link to it; `~` is the user's home folder.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser()
        self._opened = (0, 0)

    def __str__(self) -> str:
        return named(self.path)

    def open(self) -> None:
        """Note which file this is now.

        Raises:
            DeviceError: If there is none.
        """
        self._opened = self._identity()

    def require(self) -> None:
        """Check that it is still the file that was opened.

        Raises:
            DeviceError: If it was removed or replaced.
        """
        if self._identity() != self._opened:
            raise DeviceError(f"{self} was replaced by another file")

    def _identity(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError as error:
            raise DeviceError(f"{self} is not there ({error.strerror})") from error
        return found.st_dev, found.st_ino
