"""The simulated cell: physics, cameras, tasks, and the emulated controllers in front of them."""

from carp_ros.sim.opengl import choose_backend

# MuJoCo reads the variable once, when it is first imported, which every other module here does.
choose_backend()
