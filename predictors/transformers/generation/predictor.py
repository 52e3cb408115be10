"""Base classes of readers and predictors of generated text, one instance per token, and targets for
its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance
from allennlp.data.fields import LabelField, MetadataField, TensorField
from allennlp.data.tokenizers import Token
from allennlp.models import Model

from allennlp_saliency.interpret import InterpretationError, checks
from allennlp_saliency.interpret.contracts import ExplainedInstance
from allennlp_saliency.interpret.explanation import Span
from allennlp_saliency.interpret.inputs.explained import Explained, explained_by

from ..predictor import TransformersPredictor
from ..texts.reader import TransformersReader
from .generation import GeneratingModel, request_of
from .greedy import begun_like, generation_details
from .hops import HOP, with_hop
from .runners_up import RUNNER_UP, runners_up
from .spans import EXPLAIN, spans_of

MAX_NEW_TOKENS = 20
# Targets of any model; a function or a class of the user's own may read the foil.
_WITHOUT_FOILS = frozenset({"log-likelihood", "log-odds", "logit", "probability", "entropy"})

Tokens = Callable[[str], list[Token]]


class GeneratingReader(TransformersReader):
    """Reads a text, and a request for the text after it.

    Its instances have a `request`, a dict: `max_new_tokens`, or the `tokens` and the `text` that
    are given; `explain` and `hops`, see `GeneratingPredictor`; and what these are compared with,
    the tokens of a `foil` (or "runner-up"), the text and the tokens that stand in `changed` for the
    prompt or the source.
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
        explain: Any = None,
        hops: int | None = None,
    ) -> Instance:
        """An instance that asks for the text after another: so many new tokens, or given ones. A
        text of its field is tokenised by `read`, one that is to follow it by `write`."""
        before = read(text)
        asked: dict[str, Any] = {}
        if foil is not None:
            asked["foil"] = RUNNER_UP if foil == RUNNER_UP else write(foil)
        wanted = {"explain": explain, "hops": hops}
        asked.update({name: one for name, one in wanted.items() if one is not None})
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
    """Explains a text that the model wrote, or that it is given.

    Instance K explains token K, given what comes before it: a classification over the model's
    vocabulary. Tokens may be explained together: then an instance explains a span of them, whose
    log-probabilities, each given what comes before it, are added up: F = Σ log p(y_t | y_<t, x).
    It takes one pass, and the span's own tokens keep their embeddings and have no scores.

    Args:
        model: The model.
        dataset_reader: The reader of its inputs.
        explain: What each explanation is of: "token", "span" (the whole text), "sentence", or a
            list of spans `[first, end]` of generated tokens, end excluded. The key `explain` of an
            input takes precedence.
        hops: 1 to hand what falls on earlier generated tokens on through them, to what these came
            from; see `handed_on`. It explains every one of them. 0 leaves it there. The key `hops`
            of an input takes precedence.
        args: What every predictor of a Hugging Face model takes; see `TransformersPredictor`.
        kwargs: The same.

    Raises:
        ConfigurationError: If `explain` or `hops` is none of these.
    """

    _model: GeneratingModel

    def __init__(
        self,
        model: Model,
        dataset_reader: DatasetReader,
        *args: Any,
        explain: Any = "token",
        hops: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, dataset_reader, *args, **kwargs)
        if not EXPLAIN.fits(explain):
            raise ConfigurationError(f"explain is {EXPLAIN.name}, not {explain!r}")
        self._explain = explain
        self._hops = checks.integer("hops", hops, least=0, most=1)

    def steps(self, instance: Instance, text: str, generated: Sequence[Token]) -> list[Instance]:
        """One labelled instance per generated token.

        Args:
            instance: The instance whose other texts every step reads.
            text: What was generated.
            generated: Its tokens.

        Returns:
            One per span where tokens are explained together.
        """
        asked = request_of(instance)
        foil: Sequence[Token] = asked.get("foil", generated)
        if foil == RUNNER_UP:
            foil = runners_up(self._model, instance, generated)
        elif "tokens" not in asked:
            foil = begun_like(self._dataset_reader._tokenizer, foil, generated)
        if self._together(instance):
            return self._spans(instance, text, generated[: len(foil)], foil)
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

    def _together(self, instance: Instance) -> bool:
        """Whether tokens are explained together."""
        return request_of(instance).get("explain", self._explain) != "token"

    def _spans(
        self, instance: Instance, text: str, generated: Sequence[Token], foil: Sequence[Token]
    ) -> list[Instance]:
        """One labelled instance per span of generated tokens that there is a foil for."""
        asked = request_of(instance)
        self._model.check_spans(instance)
        if "changed" in asked:
            raise InterpretationError(
                "another prompt or source is compared with token by token; take it out, or explain "
                'each token by itself ("explain": "token")'
            )
        spans = spans_of(asked.get("explain", self._explain), generated, text)
        earlier = max((first for first, _ in spans), default=0) if self._hops_of(instance) else 0
        wanted: list[tuple[Span, str | None]] = [(span, None) for span in spans]
        wanted += [((number, number + 1), HOP) for number in range(earlier)]
        steps = []
        for span, choice in wanted:
            step = self._model.span_step(instance, generated, span, text, choice)
            if "foil" in asked:
                ids = [int(token.text_id or 0) for token in foil[slice(*span)]]
                step.add_field("foil", TensorField(torch.tensor(ids)))
            steps.append(step)
        return steps

    def _length(self, instance: Instance) -> int:
        """Tokens of a given text, with what the same sequence has before it."""
        before: Any = instance[self._model.prompt_field]
        own = self._model.before_writing() or before.tokens
        return len(own) + len(request_of(instance)["tokens"])

    def _hops_of(self, instance: Instance) -> int:
        asked = request_of(instance).get("hops", self._hops)
        if asked not in (0, 1):
            raise InterpretationError(f"'hops' is 0 or 1, not {asked}")
        return int(asked)

    def combined(
        self, instance: Instance, explained: Sequence[ExplainedInstance]
    ) -> Sequence[ExplainedInstance]:
        """The explanations after as many hops as are asked for; the first says where a foil is
        given in vain."""
        explained = _with_foil_named(explained) if "foil" in request_of(instance) else explained
        if not self._hops_of(instance):
            return explained
        before = len(self._model.before_writing())
        places = [self._model.places_of(own) for own, _ in explained]
        found = with_hop(explained, places, self._model.prompt_field, before)
        return [pair for pair in found if (explained_by(pair[0]) or Explained()).choice != HOP]

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """One instance per generated token, or span of them: `token_ids` of the outputs, or those
        that are given."""
        asked = request_of(instance)
        if "tokens" in asked:
            return self.steps(instance, asked["text"], asked["tokens"])
        written = self._dataset_reader._tokenizer.of_ids(outputs["token_ids"])
        return self.steps(instance, *written)

    def labeled_instances(self, instance: Instance) -> list[Instance] | None:
        """The steps of a continuation that is given: the model need not run for them. Where tokens
        are explained together it runs until it is known that it does not predict them by what
        follows."""
        own = GeneratingPredictor.predictions_to_labeled_instances
        if type(self).predictions_to_labeled_instances is not own:
            return None
        asked = request_of(instance)
        if "tokens" not in asked:
            return None
        if self._together(instance) and not self._model.known_causal(self._length(instance)):
            return None
        if self._model.windows_of(instance) is not None:
            return None
        return self.steps(instance, asked["text"], asked["tokens"])

    def explanation_details(self, instance: Instance) -> dict[str, Any]:
        """What explanations say of how the model wrote; nothing of a text that was given."""
        if "tokens" in request_of(instance):
            return {}
        windowed = self._model.windows_of(instance) is not None
        return generation_details(self._model.transformer, windowed)


def _with_foil_named(explained: Sequence[ExplainedInstance]) -> Sequence[ExplainedInstance]:
    """Explanations, the first with a warning where their target does not compare with the foil."""
    kind = explained[0][1].target.get("type") if explained else None
    if kind not in _WITHOUT_FOILS:
        return explained
    (of, first), *others = explained
    warning = (
        f"the target {kind!r} compares nothing with the foil, which only limits how many tokens "
        "are explained; use the target 'foil-difference', or leave the foil out"
    )
    return [(of, replace(first, warnings=[*first.warnings, warning])), *others]
