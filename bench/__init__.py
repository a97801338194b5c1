"""Benchmarks, and what they measured: README.md."""
