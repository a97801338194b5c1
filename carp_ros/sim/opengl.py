"""Chooses MuJoCo's OpenGL backend. A cell without cameras needs none."""

from __future__ import annotations

import ctypes
import os

DEBIAN_PACKAGES = "libegl1 libgl1-mesa-dri libgbm1 libopengl0"
_LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
_OFF = ("disable", "disabled", "off", "false", "0")
_ON = ("", "enable", "enabled", "on", "true", "1")
_KNOWN = (*_OFF, *_ON, "egl", "osmesa", "glfw", "glx")


def choose_backend() -> str:
    """Set MUJOCO_GL, unless already set, to a backend that this machine has; return it.

    EGL needs no display and uses a GPU if there is one; OSMesa renders on the CPU. With neither, it
    is `disable`: the physics works, and cameras raise an error that says what to install. On a CPU,
    Mesa draws in the calling thread: such small images gain nothing by more threads, and would wait
    for each of them on a busy machine.

    Raises:
        ValueError: If it is already set to a value that MuJoCo does not know.
    """
    given = os.environ.get("MUJOCO_GL", "").strip().lower()
    if given not in _KNOWN:
        raise ValueError(
            f"MUJOCO_GL is {given!r}; expected egl, osmesa, glfw or disable: set it so, or unset it"
        )
    for backend, library in _LIBRARIES.items():
        if "MUJOCO_GL" in os.environ:
            break
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        os.environ["MUJOCO_GL"] = backend
    os.environ.setdefault("LP_NUM_THREADS", "0")
    return os.environ.setdefault("MUJOCO_GL", "disable")


def renderer_name() -> str:
    """Return OpenGL's renderer: a GPU's name, or llvmpipe for Mesa on the CPU.

    Raises:
        RuntimeError: If this machine can't render.
    """
    if choose_backend() == "disable":
        raise RuntimeError(f"neither EGL nor OSMesa is here; apt-get install {DEBIAN_PACKAGES}")
    import mujoco
    from OpenGL import GL

    context = mujoco.GLContext(16, 16)
    context.make_current()
    name = bytes(GL.glGetString(GL.GL_RENDERER) or b"unknown").decode()
    context.free()
    return f"{name} ({os.environ['MUJOCO_GL']})"
