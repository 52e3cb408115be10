"""Small archives of allennlp-models' predictors, built by code.

A new one is a function with the decorator `archive`, in a file that is imported here.
"""

from . import classification, constituents, dependencies, multiple_choice, semantic_roles  # noqa: F401
from .archives import ARCHIVES, Archives, Folders, Parts, SmallArchive, archive

__all__ = ["ARCHIVES", "Archives", "Folders", "Parts", "SmallArchive", "archive"]
