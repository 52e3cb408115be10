"""The same function from other coordinates: the outputs of a layer, or copies of some rows."""
