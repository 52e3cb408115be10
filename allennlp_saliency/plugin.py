"""The AllenNLP plugin: importing this module registers everything that this package brings.

AllenNLP finds it without a plugins file where the shims are active (see
`allennlp_saliency.compat.plugins`); a line `allennlp_saliency.plugin` in a plugins file does the
same.
"""

from allennlp_saliency import commands, interpret, predictors

__all__ = ["commands", "interpret", "predictors"]
