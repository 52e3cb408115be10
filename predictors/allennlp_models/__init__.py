"""What is explained of the predictors of allennlp-models, one file a kind.

Nothing here imports allennlp-models: its predictors are known by their classes' names.
"""

from . import (
    classification,
    constituents,
    coreference,
    dependencies,
    multiple_choice,
    random_fields,
    semantic_roles,
)

__all__ = [
    "classification",
    "constituents",
    "coreference",
    "dependencies",
    "multiple_choice",
    "random_fields",
    "semantic_roles",
]
