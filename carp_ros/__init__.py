"""Autoregressive visuomotor policies on a ROS 2 robot workstation."""
