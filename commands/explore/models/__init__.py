"""The models that a server has: loading them, what they read, what they do for a request."""
