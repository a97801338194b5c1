"""Processes, and the memory that they share: who starts, watches and ends which."""
