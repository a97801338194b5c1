"""ROS nodes: thin shells around the ROS-free core."""
