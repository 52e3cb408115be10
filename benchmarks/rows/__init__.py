"""What is compared: all rows, of gradients and of methods that remove units."""

from .all_rows import rows as rows
