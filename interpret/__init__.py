"""Interpreters: every way of giving the tokens of a prediction a score."""

from .assembly import Attribution
from .baselines import Baseline
from .embedding_space import EmbeddingSpace
from .errors import InterpretationError
from .explanation import Explanation, InputAttribution
from .gradient import (
    DeepLift,
    DiscretizedIntegratedGradients,
    Gradient,
    GradientNorm,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerDeepLift,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    LayerwiseRelevancePropagation,
    OneHotGradient,
    SequentialIntegratedGradients,
    SmoothGradients,
    SquareGradients,
    VarGradients,
)
from .random_attribution import Random
from .reduction import Aggregation, Normalization, Reduction
from .saliency_interpreter import Interpretation, SaliencyInterpreter
from .targets import Target
from .to_words import to_words

__all__ = [
    "Aggregation",
    "Attribution",
    "Baseline",
    "DeepLift",
    "DiscretizedIntegratedGradients",
    "EmbeddingSpace",
    "Explanation",
    "Gradient",
    "GradientNorm",
    "GradientShap",
    "InputAttribution",
    "InputXGradient",
    "IntegratedGradients",
    "Interpretation",
    "InterpretationError",
    "LayerDeepLift",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "LayerwiseRelevancePropagation",
    "Normalization",
    "OneHotGradient",
    "Random",
    "Reduction",
    "SaliencyInterpreter",
    "SequentialIntegratedGradients",
    "SmoothGradients",
    "SquareGradients",
    "Target",
    "VarGradients",
    "to_words",
]
