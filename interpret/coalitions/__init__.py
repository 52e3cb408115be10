"""The target as a function of the units that stay: what an input's units are, and how they go.

It knows the space, and no method that asks for values and no metric."""
