"""The simulated cell: physics, cameras, tasks, and the emulated robot controllers."""

from carp_ros.sim.opengl import choose_backend

# MuJoCo reads the variable only on import, and every other module here imports it.
choose_backend()
