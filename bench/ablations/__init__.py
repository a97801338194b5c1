"""What each choice of the CARP recipe is worth: `python -m bench.ablations --help`."""
