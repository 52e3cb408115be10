"""What is explained of the predictors of allennlp-models, one file a kind.

Nothing here imports allennlp-models: its predictors are known by their classes' names.
"""

from . import classification, language_models, multiple_choice
from .reading import dialog_qa, reading_comprehension, transformer_qa
from .structure import constituents, coreference, dependencies, random_fields, semantic_roles
from .writing import seq2seq

__all__ = [
    "classification",
    "constituents",
    "coreference",
    "dependencies",
    "dialog_qa",
    "language_models",
    "multiple_choice",
    "random_fields",
    "reading_comprehension",
    "semantic_roles",
    "seq2seq",
    "transformer_qa",
]
