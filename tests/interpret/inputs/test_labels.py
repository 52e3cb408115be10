"""Several labels for a text, and labels for its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.data import Instance, Token
from allennlp.data.fields import MultiLabelField, SequenceLabelField, TextField
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients, SettingError
from allennlp_saliency.interpret.inputs.labels import Labels
from tests.zoo import LABELS
from tests.zoo.taggers import BIO, tagger
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    check_words,
    field_of,
    word_ids,
    words_layer,
)
from tests.zoo.unusual_models import (
    TEXT,
    TEXTS,
    Awkward,
    AwkwardPredictor,
    explain,
    labeled,
    predictor_of,
    vocabulary,
    words_embedder,
)


class MultiLabel(Awkward):
    """Any number of labels, each yes or no."""

    def forward(self, labels: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        logits = self.head(self.summary(texts))
        outputs = {"logits": logits, "probs": logits.sigmoid()}
        if labels is not None:
            outputs["loss"] = nn.functional.binary_cross_entropy_with_logits(
                logits, labels.to(logits.dtype)
            )
        return outputs


class MultiLabelPredictor(AwkwardPredictor):
    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        chosen = [int(label) for label in np.flatnonzero(outputs["probs"] > 0.5)]
        copy = instance.duplicate()
        field = MultiLabelField(chosen, skip_indexing=True, num_labels=len(LABELS))
        copy.add_field("labels", field)
        return [copy]


def test_several_labels() -> None:
    vocab = vocabulary()
    predictor = predictor_of(
        MultiLabel(vocab, words_embedder(vocab)), predictor=MultiLabelPredictor
    )
    check_words(predictor)
    check_batch_equals_single(predictor, [{"tokens": text} for text in TEXTS], rel=1e-4)
    # Without a target of its own the most likely label is explained; another has no place.
    (instance,) = labeled(predictor, {"tokens": TEXT})
    calls = by_hand(
        predictor, instance, words_layer(predictor), lambda outputs: outputs["logits"].max()
    )
    found = field_of(explain(predictor, {"tokens": TEXT}, target="logit"), "tokens")
    check_field(found, calls, word_ids(predictor))
    with pytest.raises(SettingError, match="'log-likelihood' without 'label'"):
        explain(predictor, {"tokens": TEXT}, target={"type": "logit", "label": "positive"})


NAMES = {"john": "B-PER", "smith": "I-PER", "mary": "B-PER", "paris": "B-LOC", "london": "I-LOC"}
ENTITIES = [
    ("john smith lives in paris", [(0, 2), (4, 5)]),
    ("mary", [(0, 1)]),
    ("john mary at paris london", [(0, 1), (1, 2), (3, 5)]),
]


def check_entities(predictor: Predictor) -> None:
    """One explanation per entity, of the tags' mean log-likelihood."""
    together = InputXGradient(predictor).interpret_batch_json(
        [{"sentence": text} for text, _ in ENTITIES]
    )
    for (text, spans), explanations in zip(ENTITIES, together, strict=True):
        assert [one.target["positions"] for one in explanations] == [
            list(range(*span)) for span in spans
        ]
        instance = predictor._json_to_instance({"sentence": text})
        gold = [NAMES.get(word, "O") for word in text.split()]
        indices = torch.tensor([BIO.index(tag) for tag in gold])
        for span, one in zip(spans, explanations, strict=True):
            where = slice(*span)

            def target(outputs: Mapping[str, Tensor], where: slice = where) -> Tensor:
                return -nn.functional.cross_entropy(
                    outputs["logits"][0, where],
                    indices[where],  # noqa: B023
                )

            calls = by_hand(predictor, instance, words_layer(predictor), target)
            assert one.target["label"] == " ".join(gold[where])
            check_field(field_of(one, "tokens"), calls, word_ids(predictor))


@pytest.mark.parametrize("average", ["batch", "token"])
def test_bio_tags(average: str) -> None:
    """Entities at both ends and side by side; with the loss averaged over all tokens of a batch,
    instances whose entities are of different lengths do not share one."""
    check_entities(tagger(NAMES, average))


def test_no_entities() -> None:
    predictor = tagger({})
    for method in (InputXGradient, IntegratedGradients):
        assert method(predictor).interpret_json({"sentence": "john lives"}) == []
        assert method(predictor).saliency_interpret_from_json({"sentence": "john lives"}) == {}
    (plain, empty) = InputXGradient(predictor).interpret_each(
        [{"sentence": "john"}, {"sentence": "it"}], predict=True
    )
    assert plain.error is None
    assert empty.prediction is not None
    assert empty.prediction["tags"] == ["O"]


def test_a_text_without_tags_among_others() -> None:
    predictor = tagger(NAMES)
    model = predictor._model
    instances = []
    for words in ([], ["john", "lives"]):
        text = TextField([Token(word) for word in words], {})
        tags = SequenceLabelField(["O"] * len(words), text)
        instance = Instance({"tokens": text, "tags": tags})
        instance.index_fields(model.vocab)
        instances.append(instance)
    labels = Labels.of(instances, model)
    assert labels is not None
    assert torch.equal(labels.mask, torch.tensor([[False, False], [True, True]]))
