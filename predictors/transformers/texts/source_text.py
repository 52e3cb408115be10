"""A text field that knows the text that it was made of."""

from copy import deepcopy
from typing import Any

from allennlp.data import TokenIndexer
from allennlp.data.fields import TextField
from allennlp.data.tokenizers import Token


class SourceTextField(TextField):
    """Tokens, and the text whose characters their offsets count.

    Args:
        tokens: The tokens.
        token_indexers: What indexes them.
        source_text: The text.
        overlong: What to do if there are more tokens than the model takes, as `Overlong` says it;
            None refuses them.
    """

    def __init__(
        self,
        tokens: list[Token],
        token_indexers: dict[str, TokenIndexer],
        source_text: str,
        overlong: Any = None,
    ) -> None:
        super().__init__(tokens, token_indexers)
        self.source_text = source_text
        self.overlong = overlong
        self.parts: dict[tuple[int, ...], SourceTextField] = {}

    def duplicate(self) -> "SourceTextField":
        """A copy, with the same indexers."""
        tokens = deepcopy(self.tokens)
        indexers = dict(self.token_indexers)
        copy = SourceTextField(tokens, indexers, self.source_text, self.overlong)
        copy._indexed_tokens = deepcopy(self._indexed_tokens)
        return copy

    def empty_field(self) -> "SourceTextField":
        """No tokens."""
        empty = super().empty_field()
        made = SourceTextField([], dict(empty.token_indexers), "")
        # It pads a list whose texts may be indexed already.
        made._indexed_tokens = empty._indexed_tokens
        return made
