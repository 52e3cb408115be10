"""Methods that take the gradient at the input or around it."""
