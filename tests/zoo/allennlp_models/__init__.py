"""Small archives of allennlp-models' predictors, built by code.

A new one is a function with the decorator `archive`, in a file that is imported here.
"""

from . import (  # noqa: F401
    classification,
    constituents,
    coreference,
    dependencies,
    dialogs,
    language_models,
    multiple_choice,
    pretrained_seq2seq,
    reading,
    semantic_roles,
    seq2seq,
    tagging,
    transformer_qa,
)
from .archives import ARCHIVES, Archives, Folders, Parts, SmallArchive, archive

__all__ = ["ARCHIVES", "Archives", "Folders", "Parts", "SmallArchive", "archive"]
