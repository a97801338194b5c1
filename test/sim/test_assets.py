import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor

import mujoco
import pytest

from carp_ros.sim import assets


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "carp_ros"


def triangles(folder) -> int:
    spec = mujoco.MjSpec()
    for path in sorted(folder.iterdir()):
        spec.add_mesh(name=path.stem, file=str(path))
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=path.stem)
    return int(spec.compile().mesh_facenum.sum())


def test_racing_processes_fill_the_cache_once_and_leave_nothing_behind(empty_cache):
    # processes, as it says: the library that simplifies is not made for threads
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        folders = list(pool.map(assets.mesh_folder, (assets.ARM, assets.GRIPPER)))
    assert folders[0].parent == folders[1].parent
    assert list(empty_cache.iterdir()) == [folders[0].parent]
    originals = assets.arm_xml().parent / "assets"
    assert {p.name for p in folders[0].iterdir()} == {p.name for p in originals.glob("*.obj")}


def test_simplified_meshes_have_a_fraction_of_the_triangles():
    simplified = triangles(assets.mesh_folder(assets.ARM))
    original = triangles(assets.arm_xml().parent / "assets")
    assert 0.05 < simplified / original < 0.25


def test_a_filled_cache_is_not_written_again(empty_cache):
    folder = assets.mesh_folder(assets.ARM)
    written = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert assets.mesh_folder(assets.ARM) == folder
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == written


def test_a_cache_with_a_hole_or_an_empty_file_is_made_anew(empty_cache, monkeypatch):
    monkeypatch.setattr(assets, "_simplify", lambda source, target: target.write_text(source.name))
    folder = assets.mesh_folder(assets.GRIPPER)
    first, second, *_ = sorted(folder.iterdir())
    first.unlink()
    second.write_text("")
    assert assets.mesh_folder(assets.GRIPPER) == folder
    assert first.read_text() == first.name
    assert second.read_text() == second.name


def test_a_cache_that_cannot_be_made_is_kept_in_the_temporary_folder(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(assets, "_simplify", lambda source, target: target.write_text(source.name))
    assert tmp_path in assets.mesh_folder(assets.ARM).parents
    assert "XDG_CACHE_HOME chooses another" in caplog.text
