import logging
import os
import tempfile
from pathlib import Path

import pytest

from carp_ros.share import cache_folder, share_folder, written_or_temporary


def test_a_checkout_shares_its_own_files():
    assert (share_folder() / "config" / "ur5e_sim.yaml").is_file()


def test_an_install_shares_the_folder_under_its_prefix(tmp_path: Path):
    package = tmp_path / "lib" / "python3.12" / "site-packages" / "carp_ros"
    share = tmp_path / "share" / "carp_ros"
    share.mkdir(parents=True)
    (share / "package.xml").touch()
    assert share_folder(package) == share


def test_a_package_without_its_files_says_how_to_install(tmp_path: Path):
    with pytest.raises(ValueError, match="install the package"):
        share_folder(tmp_path / "carp_ros")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Make the folder that programs of this test take for the temporary one."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder / f"carp_ros-{os.getuid()}"


def no_folder(tmp_path: Path) -> Path:
    """Return a path at which root, too, can make no folder."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "log"


def test_the_usual_folder_is_made_and_taken(tmp_path, temporary, caplog):
    assert written_or_temporary(tmp_path / "a" / "b", "log", "LOGS") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    assert not temporary.exists()
    assert caplog.text == ""


def test_where_the_usual_folder_cannot_be_made_a_temporary_one_is_taken_and_named_once(
    tmp_path, temporary, caplog
):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            folder = written_or_temporary(no_folder(tmp_path), "log", "LOGS")
    assert folder == temporary / "log"
    (record,) = caplog.records
    assert f"the log is in {folder} (LOGS chooses another)" in record.getMessage()


def test_a_temporary_folder_that_others_may_write_is_not_ours(tmp_path, temporary):
    temporary.mkdir()
    temporary.chmod(0o777)
    folder = written_or_temporary(no_folder(tmp_path), "log", "LOGS")
    assert folder.parent != temporary
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def test_without_any_folder_to_write_the_variables_to_set_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(no_folder(tmp_path)))
    with pytest.raises(ValueError, match="set LOGS or TMPDIR"):
        written_or_temporary(None, "log", "LOGS")


def test_a_user_without_a_home_has_a_cache_all_the_same(temporary, monkeypatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache_folder() == temporary / "cache"
