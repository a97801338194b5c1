from pathlib import Path

import pytest

from carp_ros.share import share_folder


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
