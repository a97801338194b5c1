"""Episodes: crash-safe recording, an immediate quality verdict, and conversion into datasets."""
