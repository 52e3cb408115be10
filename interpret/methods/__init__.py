"""One file a method, with the paper's equation in it."""
