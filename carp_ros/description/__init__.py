"""The rig as a robot description, for viewers."""
