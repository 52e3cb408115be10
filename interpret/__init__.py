"""Interpreters: every way of giving the tokens of a prediction a score."""

from .errors import InterpretationError, NotApplicableError, SettingError
from .explanation import AttentionMatrix, Explanation, InputAttribution, Interaction
from .explanations import ExplainedInputs, Explanations
from .interpreter.assembly import Attribution
from .interpreter.saliency_interpreter import Interpretation, SaliencyInterpreter
from .interpreter.to_words import to_words
from .methods.attention.attention import Attention, AttentionXGradient
from .methods.attention.attention_rollout import AttentionRollout
from .methods.attention.value_zeroing import ValueZeroing
from .methods.attribute_context import AttributeContext
from .methods.explain_function import explain_function
from .methods.gradient.gradient import Gradient, GradientNorm, InputXGradient, OneHotGradient
from .methods.gradient.smooth_gradients import SmoothGradients, SquareGradients, VarGradients
from .methods.interactions.integrated_hessians import IntegratedHessians
from .methods.interactions.pair_interactions import PairInteractions
from .methods.layer_methods import LayerGradientXActivation, LayerIntegratedGradients
from .methods.noise_tunnel import NoiseTunnel
from .methods.path.discretized_integrated_gradients import DiscretizedIntegratedGradients
from .methods.path.gradient_shap import GradientShap
from .methods.path.integrated_gradients import IntegratedGradients
from .methods.path.sequential_integrated_gradients import SequentialIntegratedGradients
from .methods.perturbation.context_cite import ContextCite
from .methods.perturbation.kernel_shap import KernelShap
from .methods.perturbation.leave_one_out import LeaveOneOut
from .methods.perturbation.lime import Lime
from .methods.perturbation.minimal_sufficient_set import MinimalSufficientSet
from .methods.perturbation.owen import Owen
from .methods.perturbation.reagent import ReAGent
from .methods.perturbation.shapley_sampling import ShapleySampling
from .methods.perturbation.sobol import Sobol
from .methods.propagation.deeplift import DeepLift, LayerDeepLift
from .methods.propagation.gim import GradientInteractionModifications
from .methods.propagation.lrp import LayerwiseRelevancePropagation
from .methods.random_attribution import Random
from .reduction import Aggregation, Normalization, Reduction
from .space.baselines import Baseline
from .space.embedding_space import EmbeddingSpace
from .space.sample_baseline import SampleBaseline
from .target.each_target import AllLabels, Arguments
from .target.span_target import Span as SpanTarget
from .target.targets import Target

__all__ = [
    "Aggregation",
    "AllLabels",
    "Arguments",
    "Attention",
    "AttentionMatrix",
    "AttentionRollout",
    "AttentionXGradient",
    "AttributeContext",
    "Attribution",
    "Baseline",
    "ContextCite",
    "DeepLift",
    "DiscretizedIntegratedGradients",
    "EmbeddingSpace",
    "ExplainedInputs",
    "Explanation",
    "Explanations",
    "Gradient",
    "GradientInteractionModifications",
    "GradientNorm",
    "GradientShap",
    "InputAttribution",
    "InputXGradient",
    "IntegratedGradients",
    "IntegratedHessians",
    "Interaction",
    "Interpretation",
    "InterpretationError",
    "KernelShap",
    "LayerDeepLift",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "LayerwiseRelevancePropagation",
    "LeaveOneOut",
    "Lime",
    "MinimalSufficientSet",
    "NoiseTunnel",
    "Normalization",
    "NotApplicableError",
    "OneHotGradient",
    "Owen",
    "PairInteractions",
    "Random",
    "ReAGent",
    "Reduction",
    "SaliencyInterpreter",
    "SampleBaseline",
    "SequentialIntegratedGradients",
    "SettingError",
    "ShapleySampling",
    "SmoothGradients",
    "Sobol",
    "SpanTarget",
    "SquareGradients",
    "Target",
    "ValueZeroing",
    "VarGradients",
    "explain_function",
    "to_words",
]
