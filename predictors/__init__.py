"""Predictors that interpret, and Hugging Face models as AllenNLP predictors."""

from . import text_pair as text_pair
from .saliency.predictor import SaliencyPredictor as SaliencyPredictor
from .transformers import TransformersPredictor as TransformersPredictor
