"""What stands at a position that holds no token of the user's text."""

from __future__ import annotations

UNASSIGNED = -1
"""A position of the input that belongs to no token of the text field."""
PADDING = -2
"""A position that is there because another row of the batch is longer."""
