"""From checkpoints to what a robot runs, and from others' checkpoints to ours."""
