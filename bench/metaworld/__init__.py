"""CARP from state on four tasks of Meta-World, beside a regression: what README.md here reports.

Runs in an environment of its own (`environment.sh`), for Meta-World pins another MuJoCo than ours.
"""
