"""Calibration of a rig: cameras, hand-eye, tool and latencies, from images and recorded poses.

No I/O except `readings.py` and `pictures.py`; no clock. The results are in `carp_ros.calibrated`.
"""
