"""Two kinds of policies trained by the same verb on the same demonstrations."""
