"""Predictors that interpret, and Hugging Face models as AllenNLP predictors."""

from .saliency import SaliencyPredictor as SaliencyPredictor
