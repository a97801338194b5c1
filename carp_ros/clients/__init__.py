"""Client nodes of a running system: trials, replays, recordings."""
