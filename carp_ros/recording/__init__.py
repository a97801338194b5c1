"""Episodes: written so that no crash harms them, judged at once, turned into datasets."""
