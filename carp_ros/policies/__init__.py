"""From an observation to a chunk: the decode loop over compiled graphs; numpy alone."""
