"""All nodes of one system: which they are, who they are on the network, how they run."""
