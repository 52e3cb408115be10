"""A batch returns what each of its inputs returns alone, whatever was in earlier batches."""

from __future__ import annotations

import pytest
import torch
from allennlp.data import Instance

from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.model.unpadded import Outputs, PaddingCheck
from tests.zoo.architectures.build import build
from tests.zoo.architectures.tables import chosen
from tests.zoo.task_models import predictor


def film(words: int) -> dict[str, str]:
    return {"sentence": " ".join(["film"] * words)}


def test_blocks_make_a_difference_in_long_batches_alone() -> None:
    (pair,) = chosen(["big_bird:text-classification"])
    built = build(pair)
    made = TransformersPredictor.from_pretrained(built.model, built.tokenizer, task=pair.task)
    for batch in ([film(1), film(2)], [film(5), film(60)]):
        for one, output in zip(batch, made.predict_batch_json(batch), strict=True):
            assert output["logits"] == pytest.approx(made.predict_json(one)["logits"], abs=1e-4)


def test_a_model_that_sees_no_padding_is_tried_once_for_each_longer_batch() -> None:
    made = predictor("bert", "text-classification")
    short, middle, long = (made._json_to_instance(film(words)) for words in (2, 5, 9))
    sizes: list[int] = []

    def run(instances: list[Instance]) -> Outputs:
        sizes.append(len(instances))
        return made._model.forward_on_instances(instances)

    check = PaddingCheck(torch.float32)
    for batch in ([short, middle], [short, middle], [short, long], [middle, long]):
        check.run(batch, run)
    assert sizes == [2, 1, 2, 2, 1, 2]
