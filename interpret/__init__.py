"""Interpreters: every way of giving the tokens of a prediction a score."""

from .baselines import Baseline
from .embedding_space import EmbeddingSpace
from .errors import InterpretationError
from .explanation import Explanation, InputAttribution
from .gradient import (
    Gradient,
    GradientNorm,
    InputXGradient,
    IntegratedGradients,
    SmoothGradients,
)
from .random_attribution import Random
from .reduction import Aggregation, Normalization, Reduction
from .saliency_interpreter import Interpretation, SaliencyInterpreter
from .targets import Target

__all__ = [
    "Aggregation",
    "Baseline",
    "EmbeddingSpace",
    "Explanation",
    "Gradient",
    "GradientNorm",
    "InputAttribution",
    "InputXGradient",
    "IntegratedGradients",
    "Interpretation",
    "InterpretationError",
    "Normalization",
    "Random",
    "Reduction",
    "SaliencyInterpreter",
    "SmoothGradients",
    "Target",
]
