"""The texts of an input: their tokens, and their windows where they are too long."""
