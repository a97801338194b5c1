"""Processes and their shared memory: starting, watching and ending them."""
