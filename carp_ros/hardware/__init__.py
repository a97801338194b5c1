"""One device driver a file, each behind the small Protocol of its kind."""
