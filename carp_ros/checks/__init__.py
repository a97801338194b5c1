"""Checks of the machine, the network and the devices of a rig: each is one small probe."""
