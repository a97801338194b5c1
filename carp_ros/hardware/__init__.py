"""Device drivers, one per file, each behind the Protocol for its kind of device."""
