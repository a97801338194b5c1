"""From a plan or a twist to joint targets, within limits. No ROS, no device."""
