"""What the dataset readers of Hugging Face models have in common."""

import json
from collections.abc import Iterable
from typing import Any, Optional

from allennlp.common.file_utils import cached_path
from allennlp.data import DatasetReader, Instance, TokenIndexer
from allennlp.data.fields import ListField, TextField
from allennlp.data.tokenizers import Token

from ..loading import load_tokenizer
from .hf_tokenizer import Pieces
from .overlong import Overlong
from .source_text import SourceTextField
from .token_indexer import TransformersIndexer


class TransformersReader(DatasetReader):
    """Reads JSON lines with the keys that the predictor takes.

    Args:
        model_name: A folder, a hub id or a tokenizer object.
        overlong: What to do with a text that is longer than the model takes: "error" refuses it;
            "truncate" cuts what the tokenizer would cut; "window" reads overlapping windows of it.
        stride: How many tokens a window shares with the next one at least; None for half of what
            fits.
        max_length: How many tokens the model is to take at most; None for as many as it has
            positions.
    """

    def __init__(
        self,
        model_name: Any,
        overlong: str = "error",
        stride: Optional[int] = None,  # noqa: UP045
        max_length: Optional[int] = None,  # noqa: UP045
        **kwargs: Any,
    ) -> None:
        super().__init__(
            manual_distributed_sharding=True, manual_multiprocess_sharding=True, **kwargs
        )
        self.tokenizer = load_tokenizer(model_name)
        self.overlong = Overlong(overlong, stride, max_length)
        self._tokenizer = Pieces(self.tokenizer)
        self._indexers: dict[str, TokenIndexer] = {"tokens": TransformersIndexer(self.tokenizer)}

    def _read(self, file_path: str) -> Iterable[Instance]:
        with open(cached_path(file_path), encoding="utf-8") as lines:
            for line in self.shard_iterable(line for line in lines if line.strip()):
                yield self.text_to_instance(**json.loads(line))

    def apply_token_indexers(self, instance: Instance) -> None:
        """Gives every text of an instance its indexer."""
        for field in instance.fields.values():
            texts = field.field_list if isinstance(field, ListField) else [field]
            for text in texts:
                if isinstance(text, TextField):
                    text._token_indexers = self._indexers

    def text_field(self, tokens: list[Token], text: str) -> SourceTextField:
        """The tokens of a text as a field."""
        return SourceTextField(tokens, self._indexers, text, self.overlong)
