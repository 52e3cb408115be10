"""The methods by family, each with its paper's equation."""
