"""Files that others wrote, and files that exist whole or not at all."""
