"""What `carp bench` measures, and the nodes and processes that it measures with."""
