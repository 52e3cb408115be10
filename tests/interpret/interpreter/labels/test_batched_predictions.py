"""Many inputs are predicted in batches, and nothing but the number of passes tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from allennlp.common.util import JsonDict
from allennlp.data import Instance, TextFieldTensors, Token, Vocabulary
from allennlp.data.dataset_readers import TextClassificationJsonReader
from allennlp.data.fields import MetadataField
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from torch import Tensor, nn

import allennlp_saliency.predictors  # noqa: F401  registers them
from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.interpret.interpreter.labels.batched_predictions import (
    FEW,
    TRIED,
    predicts_plainly,
)
from allennlp_saliency.interpret.interpreter.labels.labelling import (
    Labelled,
    label_instances,
    label_json,
)
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import labels_of
from allennlp_saliency.interpret.model.twin import Twin

FIXTURES = Path(__file__).resolve().parents[4] / "fixtures"
PLAIN = ("sentiment", "sentiment-lstm", "ner", "entailment", "topics", "multi-label")
READ = ("question-answering", "choices")
WORDS = tuple("a b c d e f g h i j k l m n o p q r s t u v w x y z".split())
ROWS: list[int] = []
"""How many rows each pass of a `WordModel` had."""

Vectors = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def rows() -> list[int]:
    ROWS.clear()
    return ROWS


class WordModel(Model):
    """The sum of a text's vectors, classified."""

    def __init__(self, vocab: Vocabulary, mixed: Vectors | None = None) -> None:
        super().__init__(vocab)
        words = Embedding(6, vocab.get_vocab_size("tokens"))
        self.embedder = BasicTextFieldEmbedder({"tokens": words})
        self.head = nn.Linear(6, 2)
        self.mixed = mixed

    def forward(  # type: ignore[override]
        self, tokens: TextFieldTensors, label: Tensor | None = None
    ) -> dict[str, Tensor]:
        ROWS.append(len(tokens["tokens"]["tokens"]))
        mask = get_text_field_mask(tokens)
        vectors = self.embedder(tokens)
        if self.mixed is None:
            text = (vectors * mask.unsqueeze(-1)).sum(1)
        else:
            text = self.mixed(vectors, mask)
        logits = self.head(text.tanh())
        if label is None:
            logits = self.predicted(logits)
        outputs = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = nn.functional.cross_entropy(logits, label.view(-1))
        return outputs

    def predicted(self, logits: Tensor) -> Tensor:
        """What it returns where it predicts."""
        return logits


class WordPredictor(Predictor):
    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(json_dict["text"])

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        copied = self._dataset_reader.text_to_instance(
            " ".join(token.text for token in instance["tokens"].tokens),  # type: ignore[attr-defined]
            str(int(outputs["probs"].argmax())),
        )
        return [copied]


@cache
def vocabulary() -> Vocabulary:
    made = Vocabulary()
    made.add_tokens_to_namespace(list(WORDS), "tokens")
    made.add_tokens_to_namespace(["0", "1"], "labels")
    return made


def predictor(
    mixed: Vectors | None = None,
    kind: type[WordModel] = WordModel,
    predicts: type[WordPredictor] = WordPredictor,
) -> WordPredictor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(vocabulary(), mixed)
    return predicts(model, TextClassificationJsonReader())


def texts(count: int, shortest: int = 1, longest: int = 9) -> list[JsonDict]:
    """Texts of several lengths, in no order of these."""
    lengths = range(shortest, longest + 1)
    return [
        {
            "text": " ".join(
                WORDS[(number * 3 + k * 5) % 26] for k in range(lengths[number * 7 % len(lengths)])
            )
        }
        for number in range(count)
    ]


def alone(made: Predictor, inputs: list[Any]) -> list[Any]:
    return [InputXGradient(made).interpret_each([one], predict=True)[0] for one in inputs]


def check_same(made: Predictor, inputs: list[Any], failing: int = 0) -> None:
    """Scores, values, labels and predictions are those of each input alone."""
    expected = alone(made, inputs)
    found = InputXGradient(made).interpret_each(inputs, predict=True)
    assert sum(one.error is not None for one in expected) == failing
    for one, other in zip(expected, found, strict=True):
        assert str(one.error) == str(other.error)
        assert type(one.error) is type(other.error)
        assert_alike(one.prediction, other.prediction)
        assert len(one.explanations) == len(other.explanations)
        for first, second in zip(one.explanations, other.explanations, strict=True):
            assert_alike(first.target, second.target)
            for own, others in zip(first.inputs, second.inputs, strict=True):
                assert own.tokens == others.tokens
                assert_alike(own.attributions, others.attributions)


def assert_alike(one: Any, other: Any) -> None:
    """Equal, floating numbers up to rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_alike(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_alike(*pair)
    elif isinstance(one, numpy.ndarray):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        if one.dtype.kind != "f":
            assert (one == other).all()
        elif one.size:
            assert abs(one - other).max() <= 1e-6 * max(1.0, float(abs(one).max()))
    else:
        number = isinstance(one, float | numpy.floating)
        assert other == (pytest.approx(one, rel=1e-5, abs=1e-6) if number else one)


@cache
def fixture(name: str) -> tuple[Predictor, list[JsonDict]]:
    lines = (FIXTURES / name / "inputs.jsonl").read_text("utf-8").splitlines()
    inputs = [json.loads(line) for line in lines]
    return Predictor.from_path(str(FIXTURES / name / "model.tar.gz")), inputs


def labelled(name: str, inputs: list[JsonDict]) -> list[Labelled]:
    twin = Twin(fixture(name)[0])
    labels = labels_of(twin.predictor)
    if labels is not None:
        labels.attach(twin.model)
    return label_json(twin.predictor, inputs, True, labels)


@pytest.mark.parametrize("name", [*PLAIN, *READ])
def test_predictions_in_batches_are_those_alone(name: str) -> None:
    inputs = fixture(name)[1][:40]
    found = labelled(name, inputs)
    several = sum(one.again is not None for one in found)
    assert several > TRIED, "nothing was predicted in a batch"
    for one, given in zip(found, inputs, strict=True):
        (expected,) = labelled(name, [given])
        assert_alike(expected.prediction, one.prediction)
        for own, others in zip(expected.instances, one.instances, strict=True):
            assert_alike(dict(own.outputs), dict(others.outputs))


def test_the_same_inputs_give_the_same_bytes() -> None:
    inputs = fixture("sentiment")[1][:40]
    first, second = (repr([one.prediction for one in labelled("sentiment", inputs)]) for _ in "ab")
    assert first == second


def test_few_passes_for_many_inputs(rows: list[int]) -> None:
    found = label_json(predictor(), texts(64), True)
    assert all(one.error is None for one in found)
    assert rows[:TRIED] == [1] * TRIED
    assert rows[TRIED] == TRIED
    batches, checks = rows[TRIED + 1 :: 2], rows[TRIED + 2 :: 2]
    assert sum(batches) == 64 - TRIED
    assert checks == [1] * len(batches)
    assert len(rows) <= 32


def test_few_inputs_are_predicted_alone(rows: list[int]) -> None:
    label_json(predictor(), texts(FEW), True)
    assert rows == [1] * FEW


def test_instances_of_a_reader(rows: list[int]) -> None:
    made = predictor()
    instances = [made._json_to_instance(one) for one in texts(40)]
    found = label_instances(made, instances, True)
    assert len(rows) < 32
    expected = [label_instances(made, [one], True)[0] for one in instances]
    for one, other in zip(expected, found, strict=True):
        assert_alike(one.prediction, other.prediction)
    assert not any(field for one in instances for field in one.fields if field == "label")


def without_mask(vectors: Tensor, mask: Tensor) -> Tensor:
    return (vectors.softmax(1) * vectors).sum(1)


def against_mean(vectors: Tensor, mask: Tensor) -> Tensor:
    sums = (vectors * mask.unsqueeze(-1)).sum(1)
    return sums if len(sums) == 1 else sums - sums.mean(0)


def all_but_the_last(vectors: Tensor, mask: Tensor) -> Tensor:
    sums = (vectors * mask.unsqueeze(-1)).sum(1)
    return torch.cat([sums[:-1] - sums[1:].mean(0), sums[-1:]]) if len(sums) > 1 else sums


def large_batches(vectors: Tensor, mask: Tensor) -> Tensor:
    """Mixes the rows of what is larger than the first batch."""
    sums = (vectors * mask.unsqueeze(-1)).sum(1)
    return sums if len(sums) <= TRIED else sums - sums.mean(0)


def long_batches(vectors: Tensor, mask: Tensor) -> Tensor:
    """Sees padding where a text is longer than all of the first ones."""
    if vectors.shape[1] <= 9:
        return (vectors * mask.unsqueeze(-1)).sum(1)
    return vectors.sum(1)


def one_row(vectors: Tensor, mask: Tensor) -> Tensor:
    if len(vectors) > 1:
        raise ValueError("one row, please")
    return vectors.sum(1)


@pytest.mark.parametrize(
    ("mixed", "inputs", "largest"),
    [
        (without_mask, texts(40), 40),
        (against_mean, texts(40), TRIED),
        (all_but_the_last, texts(40), TRIED),
        (large_batches, texts(80), None),
        (long_batches, [*texts(10), *texts(40, 4, 15)], None),
        (one_row, texts(30), TRIED),
    ],
)
def test_a_model_that_a_batch_changes(
    mixed: Vectors, inputs: list[JsonDict], largest: int | None, rows: list[int]
) -> None:
    made = predictor(mixed)
    check_same(made, inputs)
    rows.clear()
    expected = [label_json(made, [one], True)[0].prediction for one in inputs]
    rows.clear()
    found = [one.prediction for one in label_json(made, inputs, True)]
    assert_alike(expected, found)
    assert largest is None or max(rows) <= largest


def test_a_model_that_sees_padding_gets_none(rows: list[int]) -> None:
    label_json(predictor(without_mask), texts(64, 3, 5), True)
    assert len(rows) < 32


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
