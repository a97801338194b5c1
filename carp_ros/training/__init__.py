"""From a dataset to trained networks; torch, no ROS, no simulation."""
