"""The command line: `carp <verb>`, one file per verb."""
