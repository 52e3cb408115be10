"""Explanations and comparisons as pictures, by matplotlib, and as LaTeX."""
