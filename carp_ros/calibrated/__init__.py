"""What was measured of a rig: results of calibrations, and which of them may be used."""
