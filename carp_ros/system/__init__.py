"""All nodes of one system: their description, network identity and processes."""
