"""Base classes of readers and predictors of generated text, one instance per token, and targets for
its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Literal

import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField, MetadataField, TensorField
from allennlp.data.tokenizers import Token
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError, Target, checks
from allennlp_saliency.interpret.target.outputs import ModelOutputs
from allennlp_saliency.interpret.target.targets import LabelTarget

from ..predictor import TransformersPredictor
from ..texts.reader import TransformersReader
from .generation import GeneratingModel, request_of
from .greedy import begun_like, generation_details

MAX_NEW_TOKENS = 20

Tokens = Callable[[str], list[Token]]


class GeneratingReader(TransformersReader):
    """Reads a text, and a request for the text after it.

    Its instances have a `request`, a dict: `max_new_tokens`, or the `tokens` and the `text` that
    are given; and what these are compared with, the tokens of a `foil`, the text and the tokens
    that stand in `changed` for the prompt or the source.
    """

    def _request(
        self,
        field: str,
        text: str,
        read: Tokens,
        write: Tokens,
        continuation: str | None,
        max_new_tokens: int | None,
        foil: str | None,
        changed: str | None,
    ) -> Instance:
        """An instance that asks for the text after another: so many new tokens, or given ones. A
        text of its field is tokenised by `read`, one that is to follow it by `write`."""
        before = read(text)
        asked: dict[str, Any] = {} if foil is None else {"foil": write(foil)}
        if changed is not None:
            asked["changed"] = changed, read(changed)
        if asked.get("foil") == []:
            raise InterpretationError("the foil has no tokens to compare with; leave it out")
        if continuation is None:
            most = MAX_NEW_TOKENS if max_new_tokens is None else max_new_tokens
            if not isinstance(most, Integral) or most < 1:
                raise InterpretationError(f"max_new_tokens must be a positive number, not {most!r}")
            asked["max_new_tokens"] = int(most)
        else:
            asked.update(tokens=write(continuation), text=continuation)
            if not asked["tokens"]:
                raise InterpretationError("the continuation has no tokens to explain; leave it out")
        texts = {field: self.text_field(before, text), "generated": self.text_field([], "")}
        return Instance({**texts, "request": MetadataField(asked)})


class GeneratingPredictor(TransformersPredictor):
    """Explains every token of a text that the model wrote, or that it is given.

    Instance K explains token K, given what comes before it: a classification over the model's
    vocabulary.
    """

    _model: GeneratingModel

    def steps(self, instance: Instance, text: str, generated: Sequence[Token]) -> list[Instance]:
        """One labelled instance per generated token.

        Args:
            instance: The instance whose other texts every step reads.
            text: What was generated.
            generated: Its tokens.
        """
        asked = request_of(instance)
        foil: Sequence[Token] = asked.get("foil", generated)
        if "tokens" not in asked:
            foil = begun_like(self._dataset_reader._tokenizer, foil, generated)
        steps = [
            self._model.step(instance, generated[:number], text)
            for number in range(min(len(generated), len(foil)))
        ]
        if "changed" in asked:
            changed_text, tokens = asked["changed"]
            others = [Instance({**step.fields}) for step in steps]
            for other in others:
                changed = self._dataset_reader.text_field(tokens, changed_text)
                other.fields[self._model.prompt_field] = changed
            # What the model would predict after the other text.
            outputs = self._model.forward_on_instances(others)
            for step, output in zip(steps, outputs, strict=True):
                log_probs = torch.as_tensor(output["logits"]).log_softmax(-1)
                step.add_field("reference", TensorField(log_probs))
        for step, token, of_foil in zip(steps, generated, foil, strict=False):
            step.add_field("label", LabelField(int(token.text_id or 0), skip_indexing=True))
            if "foil" in asked:
                step.add_field("foil", LabelField(int(of_foil.text_id or 0), skip_indexing=True))
        return steps

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """One instance per generated token: `token_ids` of the outputs, or those that are given."""
        asked = request_of(instance)
        if "tokens" in asked:
            return self.steps(instance, asked["text"], asked["tokens"])
        written = self._dataset_reader._tokenizer.of_ids(outputs["token_ids"])
        return self.steps(instance, *written)

    def labeled_instances(self, instance: Instance) -> list[Instance] | None:
        """The steps of a continuation that is given: the model need not run for them."""
        own = GeneratingPredictor.predictions_to_labeled_instances
        if type(self).predictions_to_labeled_instances is not own:
            return None
        asked = request_of(instance)
        if "tokens" not in asked or self._model.windows_of(instance) is not None:
            return None
        return self.steps(instance, asked["text"], asked["tokens"])

    def explanation_details(self, instance: Instance) -> dict[str, Any]:
        """What explanations say of how the model wrote; nothing of a text that was given."""
        if "tokens" in request_of(instance):
            return {}
        windowed = self._model.windows_of(instance) is not None
        return generation_details(self._model.transformer, windowed)


@Target.register("foil-difference")
class FoilDifference(LabelTarget):
    """How much more the model expects each generated token than the foil's in its place, given
    what was generated before.

    The foil is another continuation in the input, `{"foil": "…"}`. Source: contrastive
    explanations of language models, Yin & Neubig 2022, arXiv 2202.10419.

    Args:
        of: What is compared: "logit" or "probability".

    Raises:
        ConfigurationError: If it is neither.
    """

    def __init__(self, of: Literal["logit", "probability"] = "logit") -> None:
        super().__init__()
        self.of = checks.choice("of", of, ("logit", "probability"))

    def __call__(self, outputs: ModelOutputs) -> Tensor:
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


def _given(outputs: ModelOutputs, name: str, key: str) -> Tensor:
    if name not in outputs:
        raise InterpretationError(f"the input has no '{key}', which this target compares with")
    return outputs[name]
