"""Calibration in the simulated cell, against MuJoCo's truth."""
