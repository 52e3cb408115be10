"""Small predictors of every family: random weights, real tokenizers, no downloads.

`Zoo(folder).predictor("roberta")` builds one, `FAMILIES` names them all. A new transformer is one
line in `transformers.ARCHITECTURES`.
"""

from .families import FAMILIES, Zoo, vocabulary
from .transformers import ARCHITECTURES
from .words import LABELS, SENTENCES, TAGS, WORDS

__all__ = [
    "ARCHITECTURES",
    "FAMILIES",
    "LABELS",
    "SENTENCES",
    "TAGS",
    "WORDS",
    "Zoo",
    "vocabulary",
]
