"""Text that a model writes, token by token, and text that is given to it as if written."""
