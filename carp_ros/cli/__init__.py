"""The command line: `carp <verb>`, one file a verb."""
