from pathlib import Path

import pytest

import carp_ros.sim  # noqa: F401  before any test module imports mujoco: it chooses the OpenGL
from carp_ros.rig import Rig, load_rig


@pytest.fixture(scope="session")
def rig() -> Rig:
    return load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
