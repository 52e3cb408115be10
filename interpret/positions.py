"""What stands at a position that holds no token of the user's text."""

from __future__ import annotations

UNASSIGNED = -1
"""A position of the input that belongs to no token of the text field."""
PADDING = -2
"""A position that is there because another row of the batch is longer."""
HELD = -3
"""A position of a token that is part of what is explained, such as the first tokens of a span of
generated text when its last are explained: it keeps its embedding and has no score."""
