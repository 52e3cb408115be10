"""Dependency parses: one explanation for each arc.

What is explained of an arc is log p(head) + log p(tag | head): minus the mean of that over the
words is the model's loss (Dozat and Manning 2017, arXiv 1611.01734).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.inputs.explained import (
    LOG_LIKELIHOOD,
    Explained,
    explained,
    explained_by,
)
from allennlp_saliency.interpret.interpreter.predictor_labels import Forward

from ..hooks import replaced
from ..places import PlacedLabels

_LABEL = "explained_tag"
_ARCS = "explained_arcs"
_TAGS = "explained_tags"
_NAMESPACE = "head_tags"
_ROOT = "ROOT"


class ArcLabels(PlacedLabels):
    """The arc of every word: `label` is its tag, `positions` the word, `head` its head."""

    words = "words"

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        words = outputs["words"]
        arcs = zip(outputs["predicted_heads"], outputs["predicted_dependencies"], strict=True)
        labelled = []
        for child, (head, tag) in enumerate(arcs):
            label = {
                "positions": [child],
                "head": words[head - 1] if head else _ROOT,
                "head_positions": [int(head) - 1] if head else [],
            }
            # Before the words, the model puts one that stands for the root.
            what = Explained(label, choice=(child + 1, int(head)), label_field=_LABEL)
            index = predictor._model.vocab.get_token_index(tag, _NAMESPACE)
            field = LabelField(index, _NAMESPACE, skip_indexing=True)
            labelled.append(explained(instance, what, **{_LABEL: field}))
        return labelled

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        what = cast(Explained, explained_by(instance))
        child, head = what.choice
        tag = cast(LabelField, instance[_LABEL])._label_id
        return {LOG_LIKELIHOOD: outputs[_ARCS][child, head] + outputs[_TAGS][child, tag]}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        seen: dict[str, Tensor] = {}
        original: Any = model._construct_loss

        def construct_loss(**given: Tensor) -> Any:
            seen.update(given)
            return original(**given)

        with replaced(model, "_construct_loss", construct_loss):
            if what is None:
                outputs = run(**inputs)
                tag_logits = _tag_logits(model, seen, outputs["heads"].long())
                outputs[_ARCS] = seen["attended_arcs"].log_softmax(-1)
                outputs[_TAGS] = tag_logits.log_softmax(-1)
                return outputs
            tags = inputs.pop(_LABEL)
            # What it decodes is known.
            decoders = ("_mst_decode", "_greedy_decode")
            with replaced(model, decoders[0], _no_arcs), replaced(model, decoders[1], _no_arcs):
                run(**inputs)
        return _of_arcs(model, seen, tags, torch.tensor([one.choice for one in what]))


def _of_arcs(
    model: Model, seen: Mapping[str, Tensor], tags: Tensor, choices: Tensor
) -> dict[str, Any]:
    """The outputs that a target reads, by what the model gave to its loss, the tag of each row's
    arc, `(rows,)`, and its child and head, `(rows, 2)`."""
    arcs = seen["attended_arcs"]
    rows = torch.arange(len(arcs), device=arcs.device)
    child, head = choices.to(arcs.device).unbind(1)
    heads = torch.zeros(arcs.shape[:2], dtype=torch.long, device=arcs.device)
    heads[rows, child] = head
    arc = arcs[rows, child]
    # `(rows, tags)`
    tag_logits = _tag_logits(model, seen, heads)[rows, child]
    log_p = arc.log_softmax(-1)[rows, head].unsqueeze(1) + tag_logits.log_softmax(-1)
    return {
        "logits": arc[rows, head].unsqueeze(1) + tag_logits,
        "probs": log_p.exp(),
        LOG_LIKELIHOOD: log_p[rows, tags],
    }


def _tag_logits(model: Any, seen: Mapping[str, Tensor], heads: Tensor) -> Tensor:
    """The logits of each word's tag given its head, `(rows, words, tags)`."""
    return model._get_head_tags(
        seen["head_tag_representation"], seen["child_tag_representation"], heads
    )


def _no_arcs(*given: Tensor) -> tuple[Tensor, Tensor]:
    none = torch.zeros_like(given[-1], dtype=torch.long)
    return none, none.clone()
