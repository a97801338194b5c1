"""Exports checkpoints to bundles for a robot, and imports published checkpoints."""
