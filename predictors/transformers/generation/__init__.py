"""Text that a model generates token by token, and given text that is explained like it."""
