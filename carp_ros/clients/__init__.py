"""Nodes that ask a running system for something: trials, replays, recordings."""
