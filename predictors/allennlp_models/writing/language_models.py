"""Language models of allennlp-models: which words make the next one, or the one in a gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import IndexField, LabelField, ListField, TextField
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import Forward

from ..hooks import heard, replaced
from .generation import LABEL, Choice, TokenLabels, with_log_probs

_SEARCH = "_beam_search_generator"


class WordLabels(TokenLabels):
    """What both kinds have in common: a classification over the vocabulary."""

    def search(self, model: Model) -> Any:
        """The beam search that goes on from the next token, None without one."""
        return getattr(getattr(model, _SEARCH, None), "_beam_search", None)

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """What the model predicts, or for labelled rows the logits of each row's token."""
        label = inputs.pop(LABEL, None)
        if label is None or what is None:
            return run(**inputs)
        head: Any = model
        # A search goes on from the next token, which is all that is explained.
        alone = replaced(model, _SEARCH, None) if hasattr(model, _SEARCH) else nullcontext()
        with alone, heard(head._language_model_head) as (returned,):
            outputs = run(**inputs)
        logits = returned[0]
        if logits.dim() > 2:
            gaps = torch.tensor([one.choice.gap for one in what], device=logits.device)
            logits = logits[torch.arange(len(gaps), device=logits.device), gaps]
        log_probs = logits.log_softmax(-1)
        chosen = log_probs.gather(-1, label.unsqueeze(-1)).squeeze(-1)
        outputs.update({LOG_LIKELIHOOD: chosen, "logits": logits, "probs": log_probs.exp()})
        return outputs

    def _labelled(self, model: Model, instance: Instance, word: Choice, **more: Any) -> Instance:
        known: Any = model
        namespace = known._target_namespace
        name = model.vocab.get_token_from_index(word.number, namespace)
        what = Explained({"label": name, **more}, word, LABEL)
        return explained(instance, what, label=LabelField(word.number, namespace, True))


class NextTokenLabels(WordLabels):
    """The best next token; where the model goes on by beam search, each token of the best text,
    given what comes before it.

    AllenNLP's own predictor takes the first character of the token in its place.
    """

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        model = predictor._model
        ids = [int(one) for one in outputs["top_indices"][0]]
        end = getattr(self.search(model), "_end_index", None)
        ids = ids[: ids.index(end) + 1] if end in ids else ids
        predicted = math.log(max(float(outputs["probabilities"][0]), 1e-300))
        if len(ids) == 1:
            return [self._labelled(model, instance, Choice(ids[0], predicted))]
        steps = [
            self._labelled(model, self._followed(model, instance, ids[:place]), Choice(number))
            for place, number in enumerate(ids)
        ]
        for step in steps:
            predictor._dataset_reader.apply_token_indexers(step)
        found = [float(model.forward_on_instance(step)[LOG_LIKELIHOOD]) for step in steps]
        way_out = "explain the next token alone by an archive without beam_search_generator"
        self.check_score(model, "log-probability", predicted, sum(found), way_out)
        return with_log_probs(steps, found)

    def _followed(self, model: Model, instance: Instance, ids: Sequence[int]) -> Instance:
        """An instance whose text goes on with tokens that were predicted."""
        known: Any = model
        copy = instance.duplicate()
        text = cast(TextField, copy["tokens"])
        kind = (text.tokens[-1].type_id or 0) if text.tokens else 0
        names = [model.vocab.get_token_from_index(one, known._target_namespace) for one in ids]
        added = [
            Token(name, text_id=number, type_id=kind)
            for name, number in zip(names, ids, strict=True)
        ]
        copy.fields["tokens"] = TextField([*text.tokens, *added], text._token_indexers)
        copy.indexed = False
        return copy


class MaskedTokenLabels(WordLabels):
    """The best token of every gap, each by itself."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        gaps = cast(ListField, instance["mask_positions"]).field_list
        found = []
        for number, gap in enumerate(gaps):
            log_prob = math.log(max(float(outputs["probabilities"][number][0]), 1e-300))
            word = Choice(int(outputs["top_indices"][number][0]), log_prob, gap=number)
            place = {"positions": [cast(IndexField, gap).sequence_index]}
            found.append(self._labelled(predictor._model, instance, word, **place))
        return found
