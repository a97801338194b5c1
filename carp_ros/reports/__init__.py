"""What nodes tell programs as JSON: a topic, a frozen dataclass, one writer and one reader."""
