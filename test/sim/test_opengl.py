import pytest

from carp_ros.sim.opengl import choose_backend


@pytest.mark.parametrize("known", ["egl", "osmesa", "glfw", "disable", "off", " EGL"])
def test_what_a_person_chose_stays(known, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", known)
    assert choose_backend() == known


def test_what_mujoco_does_not_know_is_refused_in_words(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(ValueError, match="MUJOCO_GL is 'vulkan'; expected egl, osmesa, glfw or"):
        choose_backend()
