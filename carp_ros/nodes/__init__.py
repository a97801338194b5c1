"""Thin shells around the core: the only folder that imports ROS."""
