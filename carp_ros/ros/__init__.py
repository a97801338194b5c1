"""What every node and client is made of: messages, parameters, borders, the executor."""
