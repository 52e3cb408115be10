"""Which tokens of an answer depend on a context, and on which of its sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance
from allennlp.predictors import Predictor
from torch import Tensor

from .. import checks
from ..contracts import ComparesTexts
from ..errors import InterpretationError
from ..explanation import Explanation, InputAttribution, JsonDict, Span
from ..inputs.deletion import without
from ..inputs.given_context import KEY, context_spans, sentences_of
from ..interpreter.assembly import Attribution
from ..interpreter.run import Interpretation, Progress
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..registry import registered_name
from ..space.embedding_space import EmbeddingSpace
from ..space.variants.moved_space import MovedSpace
from ..target.targets import Target
from .inner_method import OuterMethod

TARGETS = ("p-cxmi", "kl-divergence")
_TOKEN = "token"


@SaliencyInterpreter.register("attribute-context")
class AttributeContext(OuterMethod):
    """score_t = s_t(F), F = log p(y_k | x, y_<k) - log p(y_k | x without the context, y_<k).

    Two steps: which generated tokens y_k depend on the context, those with |F| ≥ threshold; and
    where in the text that comes from, the scores s of another method for F. There is one
    explanation for each token that depends on the context; its `details.context` has all tokens of
    the answer with their F, and the scores of the context's sentences.

    Sarti et al. 2024, "Quantifying the Plausibility of Context Reliance in Neural Machine
    Translation" (PECoRe), section 3: context-sensitive token identification and contextual cues
    imputation, here with an absolute threshold, so that an answer need not depend on a context.

    An input has its context in the text that the model reads, and names it:
    `{"prompt": "Rome is old. Where is it?", "context": "Rome is old."}`; or by characters
    `[start, end)`. Without the context the text is without these characters.

    Args:
        predictor: The predictor of a model that writes.
        method: Where F comes from: a method's name or params dict. What every interpreter takes
            (the target and so on) is a parameter of this one.
        threshold: |F| from which on a token depends on the context, in nats.
        target: F: "p-cxmi" as above, or "kl-divergence" for KL(p(· | …) ‖ p(· | … without the
            context)). That is far from 0 also where other parts of the text are missing, so use it
            with methods that look at the input alone.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If the predictor's model writes no text, the target is none of these, or
            a parameter has the wrong type.
    """

    def __init__(
        self,
        predictor: Predictor,
        method: str | dict[str, Any] = "integrated-gradients",
        threshold: float = 0.1,
        target: Target | str | dict[str, Any] | None = None,
        **common: Any,
    ) -> None:
        if not isinstance(predictor, ComparesTexts):
            raise ConfigurationError(
                f"'attribute-context' is of the texts that a model writes after a prompt or a "
                f"source, which {type(predictor).__name__} has not; use 'leave-one-out' with units "
                "'sentence'"
            )
        super().__init__(predictor, TARGETS[0] if target is None else target, **common)
        name = registered_name(type(self.target), Target)
        self._compares = predictor
        checks.choice("target", name, TARGETS)
        self.threshold = checks.number("threshold", threshold, least=0)
        self.wrap("attribute-context", method)

    @property
    def n_evaluations(self) -> int:
        return self._method.n_evaluations

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        found = self._attributed(space)
        assert space.labels is not None
        names = [space.labels.name(row) for row in range(len(space.instances))]
        details = found.details or [{} for _ in names]
        named = [{**own, _TOKEN: name} for own, name in zip(details, names, strict=True)]
        return replace(found, details=named)

    def _attributed(self, space: EmbeddingSpace) -> Attribution:
        """The scores for the tokens that depend on the context."""
        if self._method.bound_to_text is not None:
            return self._method.attribute(space)
        rows = (space.values.abs() >= self.threshold).nonzero().flatten()
        if not len(rows):
            return Attribution(torch.zeros(space.layout.tokens.shape))
        own = space.at_input_embeddings().embeddings
        found = self._method.attribute(MovedSpace(space, rows, own[rows.to(own.device)]))
        return spread_over(found, rows, space)

    def interpret_each(
        self,
        inputs: Sequence[JsonDict],
        predict: bool = False,
        progress: Progress = None,
        watch: Callable[[], None] | None = None,
    ) -> list[Interpretation]:
        key, changed_key = self._compares.text_key, self._compares.changed_key
        found: dict[int, Interpretation] = {}
        spans: dict[int, list[Span]] = {}
        changed: list[JsonDict] = []
        for number, one in enumerate(inputs):
            try:
                spans[number] = context_spans(one, key)
            except InterpretationError as error:
                found[number] = Interpretation(error=error)
                continue
            own = {name: value for name, value in one.items() if name != KEY}
            changed.append({**own, changed_key: without(one[key], spans[number])})
        done = super().interpret_each(changed, predict, progress, watch)
        for number, interpretation in zip(spans, done, strict=True):
            text = inputs[number][key]
            explanations = self._sensitive(interpretation.explanations, text, spans[number])
            found[number] = replace(interpretation, explanations=explanations)
        return [found[number] for number in range(len(inputs))]

    def interpret_each_instance(
        self, instances: Sequence[Instance], predict: bool = False, progress: Progress = None
    ) -> list[Interpretation]:
        """Instances do not say which part of their text is the context: each has an error."""
        error = InterpretationError("an instance names no context: give the input's JSON")
        return [Interpretation(error=error) for _ in instances]

    def _sensitive(
        self, explanations: Sequence[Explanation], text: str, context: Sequence[Span]
    ) -> list[Explanation]:
        """The explanations of tokens that depend on the context, with what they say of it; of the
        one that depends on it most where none does."""
        sizes = [abs(one.target["value"]) for one in explanations]
        chosen = [n for n, size in enumerate(sizes) if size >= self.threshold]
        warnings = []
        if explanations and not chosen:
            chosen = [max(range(len(sizes)), key=sizes.__getitem__)]
            warnings = [
                f"no token of the answer depends on the context: the largest difference is "
                f"{max(sizes):.3g}, the threshold {self.threshold:.3g}"
            ]
        answer = [
            {"token": one.details[_TOKEN], "value": one.target["value"]} for one in explanations
        ]
        sentences = sentences_of(text, context)
        return [
            replace(
                explanations[number],
                details={
                    **{k: v for k, v in explanations[number].details.items() if k != _TOKEN},
                    "context": {
                        "token": number,
                        "answer": answer,
                        "sentences": self._sentences(explanations[number], text, sentences),
                    },
                },
                warnings=[*warnings, *explanations[number].warnings],
            )
            for number in chosen
        ]

    def _sentences(
        self, explanation: Explanation, text: str, sentences: Sequence[Span]
    ) -> list[JsonDict]:
        """The sum of the scores in each sentence of the context."""
        field = self._compares.text_key
        own = next(one for one in explanation.inputs if one.field == field)
        return [
            {"span": list(span), "text": text[slice(*span)], "score": _sum_within(own, span)}
            for span in sentences
        ]


def spread_over(found: Attribution, rows: Tensor, space: EmbeddingSpace) -> Attribution:
    """The scores of some instances of a space as those of all, zero for the others.

    Args:
        found: The scores of some.
        rows: Their numbers, `(some,)`.
        space: The instances.
    """
    count = len(space.instances)

    def numbers(own: Tensor | None, rest: Tensor) -> Tensor | None:
        return None if own is None else rest.index_copy(0, rows, own.detach().double().cpu())

    def lists(own: Sequence[Any], rest: Any) -> list[Any]:
        by_row = dict(zip(rows.tolist(), own, strict=True)) if own else {}
        return [by_row.get(row, rest) for row in range(count)] if own else []

    zero = torch.zeros(space.layout.tokens.shape, dtype=torch.float64)
    scores = numbers(found.scores, zero)
    assert scores is not None
    return replace(
        found,
        scores=scores,
        # So that nothing is lacking where there are no scores.
        baseline_values=numbers(found.baseline_values, space.values),
        absorbed=numbers(found.absorbed, space.values),
        standard_errors=numbers(found.standard_errors, zero),
        details=lists(found.details, {}),
        matrices=lists(found.matrices, []),
        remedies=lists(found.remedies, ""),
        warnings=lists(found.warnings, []),
        zero_causes=lists(found.zero_causes, ""),
        interactions=lists(found.interactions, []),
    )


def _sum_within(one: InputAttribution, span: Span) -> float:
    start, end = span
    pairs = zip(one.offsets, one.attributions, strict=True)
    return math.fsum(score for own, score in pairs if own is not None and start <= own[0] < end)
