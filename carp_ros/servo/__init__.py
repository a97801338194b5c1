"""The servo's process: its loop, its devices, and who keeps it running."""
