"""PyTorch networks of the policies. This package reads no files, topics or clocks."""
