"""Turns sensor data into a policy's inputs, the same in training and on the robot; no torch."""
