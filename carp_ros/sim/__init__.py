"""The simulated cell: physics, cameras, tasks, and the emulated controllers in front of them."""
