"""Small archives of allennlp-models' predictors, built by code.

A new one is a function with the decorator `archive`, in a file that is imported here.
"""

from . import dialogs, language_models, reading, semantic_roles, seq2seq, transformer_qa  # noqa: F401
from .archives import ARCHIVES, Archives, Folders, Parts, SmallArchive, archive

__all__ = ["ARCHIVES", "Archives", "Folders", "Parts", "SmallArchive", "archive"]
