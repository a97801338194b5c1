"""Trials, their success rates with intervals, and reports."""
