"""Policies at work: from observations to chunks, by running compiled graphs; only needs NumPy."""
