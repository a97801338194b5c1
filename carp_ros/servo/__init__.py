"""The servo process: its loop, its devices and the keeper that restarts it."""
