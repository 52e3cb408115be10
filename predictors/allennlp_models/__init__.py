"""What is explained of the predictors of allennlp-models, one file a kind.

Nothing here imports allennlp-models: its predictors are known by their classes' names.
"""

from . import (
    dialog_qa,
    language_models,
    reading_comprehension,
    semantic_roles,
    seq2seq,
    transformer_qa,
)

__all__ = [
    "dialog_qa",
    "language_models",
    "reading_comprehension",
    "semantic_roles",
    "seq2seq",
    "transformer_qa",
]
