"""Numbers to explain about generated tokens, beside those that any prediction has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from allennlp.data import Instance
from allennlp.data.fields import LabelField, TensorField
from allennlp.models import Model
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError, Target, checks
from allennlp_saliency.interpret.inputs.explained import Explained, explained, explained_by
from allennlp_saliency.interpret.inputs.labels import namespace_of
from allennlp_saliency.interpret.target.outputs import ModelOutputs
from allennlp_saliency.interpret.target.targets import LabelTarget

from .generation.generation import GeneratingModel


@Target.register("foil-difference")
class FoilDifference(LabelTarget):
    """How much more the model expects each generated token than the foil's in its place, given
    what was generated before.

    The foil is another continuation in the input, `{"foil": "…"}`, or `{"foil": "runner-up"}` for
    the most probable other token in each place. Explanations name it in their target. Of tokens
    that are explained together the differences are added up. Source: contrastive explanations of
    language models, Yin & Neubig 2022, arXiv 2202.10419.

    Args:
        of: What is compared: "logit" or "probability".

    Raises:
        ConfigurationError: If it is neither.
    """

    def __init__(self, of: Literal["logit", "probability"] = "logit") -> None:
        super().__init__()
        self.of = checks.choice("of", of, ("logit", "probability"))

    def instances(self, instance: Instance, model: Model) -> list[Instance]:
        """The instance, with the name of its foil for the explanation."""
        field: Any = instance.fields.get("foil")
        own = explained_by(instance) or Explained(label_field="label")
        if isinstance(field, LabelField):
            names = model.vocab.get_index_to_token_vocabulary(namespace_of(model))
            foil = names.get(int(field.label), str(field.label))
        elif isinstance(field, TensorField) and isinstance(model, GeneratingModel):
            foil = model.text_of_ids(field.tensor.tolist())
        else:
            return [instance]
        return [explained(instance, replace(own, label={**(own.label or {}), "foil": foil}))]

    def check_input(self, instances: Sequence[Instance], model: Model) -> None:
        # Of several tokens some may be those of the foil.
        if instances and all(map(_is_its_foil, instances)):
            raise InterpretationError(
                "the foil has the tokens that are explained, so the difference is 0 whatever the "
                'text; give another one, or "foil": "runner-up" for the most probable other tokens'
            )

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        if "span_difference" in outputs:
            if self.of == "probability":
                raise InterpretationError(
                    "of a span of tokens the logits are compared; leave 'of' out, or explain each "
                    'token by itself ("explain": "token")'
                )
            return outputs["span_difference"]
        foil = _given(outputs, "foil", "foil")
        scores = outputs.logits if self.of == "logit" else outputs.probabilities
        return outputs.at(scores) - scores.gather(1, foil.view(-1, 1)).squeeze(1)


@Target.register("kl-divergence")
class KLDivergence(Target):
    """How far the model's next token is from what it would be after another text:
    Σ p log(p / q) in nats, q after the other text and the same generated tokens.

    The other text is in the input: `{"changed_prompt": "…"}`, or `{"changed_source": "…"}`.
    """

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        other = _given(outputs, "reference_log_probs", "changed_prompt' or 'changed_source")
        own = outputs.logits.log_softmax(-1)
        return (own.exp() * (own - other)).sum(-1)


@Target.register("p-cxmi")
class PointwiseCrossMutualInformation(LabelTarget):
    """How much more the model expects a generated token than it would after another text:
    log p(y) - log q(y) in nats, q after the other text and the same generated tokens.

    Fernandes et al. 2023, "When Does Translation Require Context? A Data-driven, Multilingual
    Exploration", section 3.1 (P-CXMI). The other text is in the input, as for "kl-divergence".
    """

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        other = _given(outputs, "reference_log_probs", "changed_prompt' or 'changed_source")
        return outputs.at(outputs.logits.log_softmax(-1) - other)


def _is_its_foil(instance: Instance) -> bool:
    """Whether the token that an instance stands for is the foil's."""
    own, foil = instance.fields.get("label"), instance.fields.get("foil")
    if not isinstance(own, LabelField) or not isinstance(foil, LabelField):
        return False
    return own.label == foil.label


def _given(outputs: ModelOutputs, name: str, key: str) -> Tensor:
    if name not in outputs:
        raise InterpretationError(f"the input has no '{key}', which this target compares with")
    return outputs[name]
