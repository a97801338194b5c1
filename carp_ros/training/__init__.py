"""Trains networks on datasets. Needs torch, but neither ROS nor the simulation."""
