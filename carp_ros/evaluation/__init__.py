"""Trials, success rates with confidence intervals, and reports."""
