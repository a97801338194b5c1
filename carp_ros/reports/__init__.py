"""Reports that nodes publish as JSON, each a frozen dataclass on its own topic."""
