import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from carp_ros.cli import outputs
from carp_ros.cli.outputs import require_writable_outputs


@dataclass
class Command:
    """A verb's options; `record` is what `carp up` has."""

    report: Path | None = None
    out: Path | None = None
    folder: str = ""
    record: bool = True


@pytest.mark.parametrize(
    "fine",
    [
        Command(),
        Command(report=Path("new/report.json"), out=Path("new/folder")),
        Command(report=Path("old.json"), out=Path("old")),
        Command(folder="old.json/episodes", record=False),
    ],
)
def test_a_place_that_can_be_made_or_written_is_fine(fine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.json").touch()
    Path("old").mkdir()
    require_writable_outputs(fine)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Command(report=Path("old")), "--report is old, but that is a folder"),
        (Command(out=Path("old.json")), "--out is old.json, but that is a file"),
        (Command(out=Path("old.json/run")), "is no folder"),
        (Command(folder="old.json/episodes"), "--folder is old.json/episodes"),
    ],
)
def test_a_place_of_the_wrong_kind_is_refused_with_its_option(wrong, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.json").touch()
    Path("old").mkdir()
    with pytest.raises(ValueError, match="choose another place") as caught:
        require_writable_outputs(wrong)
    assert said in str(caught.value)


def test_a_folder_that_is_read_only_is_refused(tmp_path, monkeypatch):
    def access(path: Path, mode: int) -> bool:  # as for a user who is not root
        return bool(Path(path).stat().st_mode & stat.S_IWUSR)

    monkeypatch.setattr(outputs.os, "access", access)
    tmp_path.chmod(0o555)
    with pytest.raises(ValueError, match="can't be written"):
        require_writable_outputs(Command(out=tmp_path / "a" / "b"))
