"""From sensors to what a policy is given, the same in training and on the robot; no torch."""
