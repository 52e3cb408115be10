"""Saliency maps for any AllenNLP predictor and any Hugging Face text model.

Importing any part of this package makes AllenNLP 2.10.1 importable on today's torch and
transformers (see `allennlp_saliency.compat`). The import itself is cheap: it loads neither torch
nor AllenNLP.
"""

from allennlp_saliency import compat
from allennlp_saliency.version import VERSION as __version__

__all__ = ["__version__"]

compat.activate()
