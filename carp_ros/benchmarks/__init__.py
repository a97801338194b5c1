"""Measurements of `carp bench`, with the nodes and processes that they need."""
