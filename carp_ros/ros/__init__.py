"""Building blocks of every node and client: messages, parameters, error handling, the executor."""
