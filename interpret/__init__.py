"""Interpreters: every way of giving the tokens of a prediction a score."""

from .assembly import Attribution
from .baselines import Baseline
from .embedding_space import EmbeddingSpace
from .errors import InterpretationError, NotApplicableError, SettingError
from .explanation import AttentionMatrix, Explanation, InputAttribution
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
from .internals import Attention, AttentionRollout, AttentionXGradient, ValueZeroing
from .random_attribution import Random
from .reduction import Aggregation, Normalization, Reduction
from .saliency_interpreter import Interpretation, SaliencyInterpreter
from .targets import Target
from .targets_of_each import AllLabels, Arguments
from .to_words import to_words

__all__ = [
    "Aggregation",
    "AllLabels",
    "Arguments",
    "Attention",
    "AttentionMatrix",
    "AttentionRollout",
    "AttentionXGradient",
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
    "NotApplicableError",
    "OneHotGradient",
    "Random",
    "Reduction",
    "SaliencyInterpreter",
    "SequentialIntegratedGradients",
    "SettingError",
    "SmoothGradients",
    "SquareGradients",
    "Target",
    "ValueZeroing",
    "VarGradients",
    "to_words",
]
