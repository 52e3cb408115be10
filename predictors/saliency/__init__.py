"""The predictor behind `allennlp predict --predictor saliency`."""

from .predictor import NAME as NAME
from .predictor import SaliencyPredictor as SaliencyPredictor
