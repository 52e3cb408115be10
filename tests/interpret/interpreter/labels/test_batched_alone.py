"""Which inputs are predicted alone although there are many, and what follows from their errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.common.util import JsonDict
from allennlp.data import Instance, TextFieldTensors, Token
from allennlp.data.fields import MetadataField
from torch import Tensor

import allennlp_saliency.predictors  # noqa: F401  registers them
from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.interpret.interpreter.labels.batched_predictions import (
    TRIED,
    predicts_plainly,
)
from allennlp_saliency.interpret.interpreter.labels.labelling import (
    label_json,
)
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import labels_of
from tests.interpret.interpreter.labels.word_models import (
    ROWS,
    WordModel,
    WordPredictor,
    check_same,
    fixture,
    predictor,
    texts,
)


@pytest.fixture(autouse=True)
def rows() -> list[int]:
    ROWS.clear()
    return ROWS


class OneRowWrong(WordModel):
    """In large batches the prediction of the longest row is another number."""

    def predicted(self, logits: Tensor) -> Tensor:
        if len(logits) <= TRIED:
            return logits
        return torch.cat([-logits[:1], logits[1:]])


def test_a_prediction_that_the_explanation_contradicts_is_made_again_alone() -> None:
    made, inputs = predictor(kind=OneRowWrong), texts(64, 5, 6)
    predictions = [label_json(made, [one], True)[0].prediction for one in inputs]
    wrong = [one.prediction for one in label_json(made, inputs, True)]
    assert any(
        one["probs"] != pytest.approx(two["probs"], abs=1e-3)
        for one, two in zip(predictions, wrong, strict=True)
    )
    check_same(made, inputs)
    told: list[tuple[int, int]] = []
    InputXGradient(made).interpret_each(inputs, progress=lambda *how_far: told.append(how_far))
    assert told == sorted(told)
    assert told[-1] == (64, 64)


class Refusing(WordModel):
    def predicted(self, logits: Tensor) -> Tensor:
        if self.refused:
            raise ValueError("the word z")
        return logits

    def forward(self, tokens: TextFieldTensors, label: Tensor | None = None) -> dict[str, Tensor]:  # type: ignore[override]
        ids = tokens["tokens"]["tokens"]
        self.refused = bool((ids == self.vocab.get_token_index("z")).any())
        return super().forward(tokens, label)


@pytest.mark.parametrize("place", [2, 30])
def test_one_inputs_error_is_its_own(place: int) -> None:
    made = predictor(kind=Refusing)
    inputs = [{"text": one["text"].replace("z", "y")} for one in texts(40)]
    inputs[place] = {"text": "a z b"}
    found = label_json(made, inputs, True)
    assert [number for number, one in enumerate(found) if one.error] == [place]
    assert str(found[place].error) == "the word z"
    check_same(made, inputs, failing=1)


def test_texts_that_are_empty_or_too_long_and_what_cannot_be_read() -> None:
    made, inputs = fixture("sentiment")
    long = " ".join(["good"] * 2000)
    odd: list[JsonDict] = [{"sentence": ""}, {"sentence": long}, {"text": "a"}, {"sentence": None}]
    mixed = [*odd[:2], *inputs[:32], *odd[2:], *inputs[32:34]]
    found = InputXGradient(made).interpret_each(mixed)
    assert [number for number, one in enumerate(found) if one.error] == [1, 34, 35]
    assert isinstance(found[1].error, InterpretationError)
    check_same(made, mixed, failing=3)


class Remembering(WordPredictor):
    """Labels what it has read last."""

    last = ""

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        self.last = json_dict["text"]
        return super()._json_to_instance(json_dict)

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        read = [Token(word).text for word in self.last.split()]
        assert read == [token.text for token in instance["tokens"].tokens]  # type: ignore[attr-defined]
        return super().predictions_to_labeled_instances(instance, outputs)


def test_a_predictor_that_remembers_what_it_has_read(rows: list[int]) -> None:
    found = label_json(predictor(predicts=Remembering), texts(30), True)
    assert [one.error for one in found] == [None] * 30
    assert rows == [1] * 30


class Counting(WordPredictor):
    """Numbers what it has read."""

    count = 0

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        self.count += 1
        made = super()._json_to_instance(json_dict)
        made.add_field("metadata", MetadataField({"number": self.count}))
        return made


class Numbered(WordModel):
    def forward(  # type: ignore[override]
        self, tokens: TextFieldTensors, metadata: Any = (), label: Tensor | None = None
    ) -> dict[str, Any]:
        return {**super().forward(tokens, label), "number": [one["number"] for one in metadata]}


def test_a_predictor_that_counts() -> None:
    found = label_json(predictor(kind=Numbered, predicts=Counting), texts(30), True)
    assert [one.prediction["number"] for one in found if one.prediction] == [*range(1, 31)]


class OwnPrediction(WordPredictor):
    def predict_json(self, inputs: JsonDict) -> JsonDict:
        return {"own": super().predict_json(inputs)}


class OwnPass(WordModel):
    def forward_on_instance(self, instance: Instance) -> dict[str, Any]:
        return super().forward_on_instance(instance)


class OwnPasses(WordModel):
    def forward_on_instances(self, instances: list[Instance]) -> list[dict[str, Any]]:
        return super().forward_on_instances(instances)


def test_what_is_not_plain_stays_alone(rows: list[int]) -> None:
    patched: Any = predictor()
    patched._model.forward_on_instance = patched._model.forward_on_instance
    half = predictor()
    half._model.to(torch.bfloat16)
    strange = [
        predictor(predicts=OwnPrediction),
        predictor(kind=OwnPass),
        predictor(kind=OwnPasses),
        patched,
        half,
        *(fixture(name)[0] for name in ("copy-lm", "translate")),
    ]
    assert [predicts_plainly(one, labels_of(one)) for one in strange] == [False] * 7
    assert predicts_plainly(predictor(), None)
    for one in strange[:4]:
        rows.clear()
        label_json(one, texts(30), True)
        assert rows == [1] * len(rows)


def test_the_state_of_torchs_generator_and_the_users_model_are_left() -> None:
    made = predictor()
    before, training = torch.get_rng_state(), made._model.training
    state = {name: one.clone() for name, one in made._model.state_dict().items()}
    InputXGradient(made).interpret_batch_json(texts(30))
    assert torch.equal(before, torch.get_rng_state())
    assert made._model.training == training
    assert all(torch.equal(one, state[name]) for name, one in made._model.state_dict().items())
    assert not made._model._forward_hooks
