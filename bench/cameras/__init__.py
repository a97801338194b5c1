"""Cameras from files through the real nodes: losses when recorded, and what unplugging does."""
