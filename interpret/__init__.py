"""Interpreters: every way of giving the tokens of a prediction a score."""

from .errors import InterpretationError, NotApplicableError, SettingError
from .explanation import AttentionMatrix, Explanation, InputAttribution
from .interpreter.assembly import Attribution
from .interpreter.saliency_interpreter import Interpretation, SaliencyInterpreter
from .interpreter.to_words import to_words
from .methods.attention.attention import Attention, AttentionXGradient
from .methods.attention.attention_rollout import AttentionRollout
from .methods.attention.value_zeroing import ValueZeroing
from .methods.gradient.gradient import Gradient, GradientNorm, InputXGradient, OneHotGradient
from .methods.gradient.smooth_gradients import SmoothGradients, SquareGradients, VarGradients
from .methods.layer_methods import LayerGradientXActivation, LayerIntegratedGradients
from .methods.path.discretized_integrated_gradients import DiscretizedIntegratedGradients
from .methods.path.gradient_shap import GradientShap
from .methods.path.integrated_gradients import IntegratedGradients
from .methods.path.sequential_integrated_gradients import SequentialIntegratedGradients
from .methods.propagation.deeplift import DeepLift, LayerDeepLift
from .methods.propagation.lrp import LayerwiseRelevancePropagation
from .methods.random_attribution import Random
from .reduction import Aggregation, Normalization, Reduction
from .space.baselines import Baseline
from .space.embedding_space import EmbeddingSpace
from .target.each_target import AllLabels, Arguments
from .target.targets import Target

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
