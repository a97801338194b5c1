"""What comes of wrong input: `python -m bench.faults --help`."""
