"""Terminal output of long-running commands."""
