"""Coreference: one explanation for each link from a mention to its antecedent.

The model decides for every mention by itself which earlier mention it refers to, or none (Lee et
al. 2017, arXiv 1707.07045); clusters are what follows from these decisions. So what is explained is
log p(antecedent | mention), and a cluster's explanation is the sum of those of its links. (AllenNLP
labels one cluster a time, and its loss takes all mentions of the others for mentions of nothing:
a number that the model does not predict.)

A span is a mention only if its score is among the best of the text. That choice is held as it is at
the input: elsewhere the model would choose other spans, and what is explained would jump, or be
nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField, ListField, TextField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor
from torch.overrides import TorchFunctionMode

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import (
    LOG_LIKELIHOOD,
    Explained,
    explained,
    explained_by,
)
from allennlp_saliency.interpret.inputs.token_groups import text_of_tokens
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import Forward

from ..hooks import replaced
from ..places import PlacedLabels

_LABEL = "explained_antecedent"
_SCORES = "explained_scores"
_KEPT = "explained_kept_"
# Labels of other namespaces than "*labels" have two names, "@@PADDING@@" and "@@UNKNOWN@@".
_NAMESPACE = "antecedent_labels"
_MASKED = -1e30


@dataclass(frozen=True)
class _Link:
    """A mention by its number among the spans that the model kept, and what was kept at each
    pruning."""

    mention: int
    kept: tuple[Any, ...]


class AntecedentLabels(PlacedLabels):
    """The antecedent of every mention that has one: `label` is its text, `positions` are those of
    the mention."""

    sentence, words = "document", "text"

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        (instance,) = super().instances(predictor, inputs)
        if len(cast(ListField, instance["spans"]).field_list) < 2:
            text = text_of_tokens(cast(TextField, instance["text"]).tokens)
            raise InterpretationError(
                f"{type(predictor._model).__name__} cannot read a document of one word, "
                f"{text!r}; give it a text that can have two mentions"
            )
        return [instance]

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        spans = [(int(start), int(end)) for start, end in outputs["top_spans"]]
        clusters = {
            tuple(span): number
            for number, cluster in enumerate(outputs["clusters"])
            for span in cluster
        }
        kept = tuple(outputs[key] for key in sorted(outputs) if key.startswith(_KEPT))
        labelled = []
        for mention, best in enumerate(outputs["predicted_antecedents"]):
            if best < 0:
                continue
            label = {
                "positions": _positions(spans[mention]),
                "mention": _text(outputs, spans[mention]),
                "cluster": clusters[spans[mention]],
            }
            choices: list[JsonDict] = [{"label": "", "antecedent": 0, "antecedent_positions": []}]
            scores = outputs[_SCORES][mention][1:]
            for number, index in enumerate(outputs["antecedent_indices"][mention]):
                if scores[number] > _MASKED:
                    span = spans[int(index)]
                    choice = {"label": _text(outputs, span), "antecedent": number + 1}
                    choices.append({**choice, "antecedent_positions": _positions(span)})
            what = Explained(label, _Link(mention, kept), _LABEL, choices)
            antecedent = LabelField(int(best) + 1, _NAMESPACE, skip_indexing=True)
            labelled.append(explained(instance, what, **{_LABEL: antecedent}))
        return labelled

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        what = cast(Explained, explained_by(instance))
        scores = torch.as_tensor(outputs[_SCORES][what.choice.mention])
        label = cast(LabelField, instance[_LABEL])._label_id
        return {"logits": scores, LOG_LIKELIHOOD: scores.log_softmax(-1)[label]}

    def details(self, predictor: Predictor, outputs: Mapping[str, Any]) -> JsonDict:
        return {"held_spans": len(outputs["top_spans"])}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            pruning = Pruning(len(inputs["spans"]))
            outputs, scores = _scored(model, run, pruning, inputs)
            kept = {f"{_KEPT}{number}": one for number, one in enumerate(pruning.chosen)}
            return {**outputs, _SCORES: scores, **kept}
        labels = inputs.pop(_LABEL)
        inputs.pop("span_labels", None)
        pruning = Pruning(len(inputs["spans"]), [one.choice.kept for one in what])
        _, scores = _scored(model, run, pruning, inputs)
        rows = torch.arange(len(what), device=scores.device)
        mentions = torch.tensor([one.choice.mention for one in what], device=scores.device)
        logits = scores[rows, mentions.clamp(max=scores.shape[1] - 1)]
        return {"logits": logits, LOG_LIKELIHOOD: logits.log_softmax(-1)[rows, labels]}


def _scored(
    model: Model, run: Forward, pruning: Pruning, inputs: dict[str, Any]
) -> tuple[dict[str, Any], Tensor]:
    """The model's outputs, and the score of each kept span's antecedents, none first,
    `(rows, spans, 1 + antecedents)`."""
    found: list[Tensor] = []
    original: Any = model._compute_coreference_scores
    scorer: Any = model._mention_scorer

    def scores(*given: Any, **options: Any) -> Tensor:
        pruning.active = False
        found.append(original(*given, **options))
        return found[-1]

    def prune(module: Any, given: Any, output: Any) -> None:
        pruning.active = True

    hook = scorer.register_forward_hook(prune)
    try:
        with pruning, replaced(model, "_compute_coreference_scores", scores):
            outputs = run(**inputs)
    finally:
        hook.remove()
    return outputs, found[-1]


def _positions(span: tuple[int, int]) -> list[int]:
    return list(range(span[0], span[1] + 1))


def _text(outputs: Mapping[str, Any], span: tuple[int, int]) -> str:
    return " ".join(outputs["document"][span[0] : span[1] + 1])


class Pruning(TorchFunctionMode):
    """Pruning by scores: takes note of what `topk` chooses, or lets it choose again what is known.

    Args:
        rows: How many rows the batch has.
        known: For each row what to choose at each call, the indices of one row flattened; None to
            take note only.

    Attributes:
        active: Whether calls are those that prune.
        chosen: What was chosen at each call, `(rows, indices of one row)`.
    """

    def __init__(self, rows: int, known: Sequence[Sequence[Any]] | None = None) -> None:
        super().__init__()
        self.active = False
        self.chosen: list[Tensor] = []
        self._rows = rows
        self._known = known

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if not self.active or func not in (torch.topk, Tensor.topk):
            return found
        values, indices = found
        known = self._known_indices(indices)
        if known is not None:
            values, indices = args[0].gather(-1, known), known
        self.chosen.append(indices.reshape(self._rows, -1))
        return values, indices

    def _known_indices(self, like: Tensor) -> Tensor | None:
        """What to choose at this call, None where it has not as many items as that."""
        if self._known is None:
            return None
        call = len(self.chosen)
        own = [np.asarray(row[call]) for row in self._known if call < len(row)]
        if sum(one.size for one in own) != like.numel():
            return None
        return torch.from_numpy(np.concatenate(own)).to(like).reshape(like.shape)
