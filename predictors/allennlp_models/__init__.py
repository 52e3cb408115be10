"""What is explained of the predictors of allennlp-models, one file a kind.

Nothing here imports allennlp-models: its predictors are known by their classes' names.
"""

from . import semantic_roles, seq2seq

__all__ = ["semantic_roles", "seq2seq"]
