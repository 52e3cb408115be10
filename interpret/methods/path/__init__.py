"""Methods that follow the gradient on a path from a baseline to the input."""
