"""`allennlp explore`: a page on which one tries a model, and the addresses behind it.

Everything but the command's arguments needs the extra `explore` and is imported when it is run.
"""

from .command import Explore

__all__ = ["Explore"]
