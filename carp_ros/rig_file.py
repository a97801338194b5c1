"""The file of a rig: read and parsed once a system, by the process that starts it.

That process passes the parsed content on in an environment variable and its hash as an argument.
The other processes therefore run on what the system was started with, whatever happens to the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carp_ros.files.given_file import given_text
from carp_ros.files.plain_json import mapping_from_json
from carp_ros.files.plain_yaml import mapping_from_yaml
from carp_ros.refusal import named

RIG_CONTENT = "CARP_RIG"
"""Environment variable with the content of the system's rig file, as JSON."""


@dataclass(frozen=True)
class RigFile:
    """A rig file and what was in it.

    Attributes:
        path: The file.
        content: What was in it, parsed.
    """

    path: Path = Path()
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Hash of the content, in hex: the same in all processes of a system."""
        return _sha256(self._text)

    @property
    def arguments(self) -> list[str]:
        """The arguments that name this file and its hash to a child process."""
        return ["--rig", str(self.path), "--rig-sha256", self.sha256]

    @property
    def environment(self) -> dict[str, str]:
        """The variable that passes the content on to other processes."""
        return {RIG_CONTENT: self._text}

    @property
    def _text(self) -> str:
        return json.dumps(self.content, default=str, skipkeys=True)


def read_rig_file(path: Path, sha256: str = "") -> RigFile:
    """Return a rig file with its content, which a system that is running has already parsed.

    Args:
        path: The file; not read if the environment has the content with this hash.
        sha256: `RigFile.sha256` that the content must have; empty for any.

    Raises:
        ValueError: If the file is missing or not YAML, or the content has another hash.
    """
    where = named(path)
    passed_on = os.environ.get(RIG_CONTENT, "")
    if sha256 and _sha256(passed_on) == sha256:
        return RigFile(path, mapping_from_json(passed_on, f"{RIG_CONTENT} in the environment"))
    if not path.exists():
        known = ", ".join(sorted(named(Path(p.stem)) for p in path.parent.glob("*.yaml")))
        raise ValueError(f"no rig file {where}; rigs in {named(path.parent)}: {known or 'none'}")
    file = RigFile(path, mapping_from_yaml(given_text(path), where))
    if sha256 and file.sha256 != sha256:
        raise ValueError(
            f"the content of {where} has SHA-256 {file.sha256}; the system was started with"
            f" {sha256}: the file was changed since. Stop the whole system and start it again"
        )
    return file


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
