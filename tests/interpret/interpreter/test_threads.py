"""One predictor, many threads: nobody's numbers change."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from allennlp.data.token_indexers import PretrainedTransformerIndexer
from allennlp.data.tokenizers import PretrainedTransformerTokenizer
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import PretrainedTransformerEmbedder
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import (
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SaliencyInterpreter,
    SmoothGradients,
)
from tests.zoo import Zoo
from tests.zoo.transformers import spread
from tests.zoo.unusual_models import Awkward, awkward, predictor_of, vocabulary

Call = Callable[[int], Any]
"""What a thread does the n-th time."""


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def all_at_once(tasks: list[Call], calls: int) -> list[list[Any]]:
    """What comes of tasks that start at the same moment, each in a thread of its own."""
    start = threading.Barrier(len(tasks))

    def run(task: Call) -> list[Any]:
        start.wait()
        return [task(number) for number in range(calls)]

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def interprets(interpreter: SaliencyInterpreter, inputs: list[dict[str, Any]]) -> Call:
    def call(number: int) -> Any:
        explanations = interpreter.interpret_json(inputs[number % len(inputs)])
        return [explanation.to_json() for explanation in explanations]

    return call


def predicts(predictor: Predictor, inputs: list[dict[str, Any]], first: int) -> Call:
    return lambda number: predictor.predict_json(inputs[(first + number) % len(inputs)])


def state(predictor: Predictor) -> dict[str, Any]:
    """What an observer could see of a model, numbers by their bits."""
    model = predictor._model
    return {
        "weights": {name: value.tolist() for name, value in model.state_dict().items()},
        "grads": [parameter.grad is None for parameter in model.parameters()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "training": [module.training for module in model.modules()],
        "hooks": [
            [len(hooks) for hooks in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)]
            for m in model.modules()
        ],
        "metrics": str(model.get_metrics()),
        "cudnn": torch.backends.cudnn.enabled,
        "threads": torch.get_num_threads(),
        "offsets": len(predictor._token_offsets),
    }


def check(predictor: Predictor, inputs: list[dict[str, Any]], calls: int) -> None:
    """Four threads interpret, two of them with one interpreter, and four predict; every result
    is, to the bit, what the same call gives when nothing else goes on."""
    shared = IntegratedGradients(predictor, steps=3)
    methods = [shared, shared, InputXGradient(predictor), SmoothGradients(predictor, num_samples=3)]
    tasks = [interprets(method, inputs) for method in methods]
    tasks += [predicts(predictor, inputs, first) for first in range(4)]
    serial = [[task(number) for number in range(len(inputs))] for task in tasks]
    before = state(predictor)
    for number, results in enumerate(all_at_once(tasks, calls)):
        for call, result in enumerate(results):
            assert result == serial[number][call % len(inputs)], f"thread {number}, call {call}"
    assert state(predictor) == before


def truncating(folder: str) -> Predictor:
    """A transformer whose tokenizer cuts texts off: a setting of the tokenizer that all share."""
    embedder = BasicTextFieldEmbedder({"tokens": PretrainedTransformerEmbedder(folder)})
    model = Awkward(vocabulary(), embedder)
    for number, part in enumerate((model.inner, model.head)):
        spread(part, number)
    return predictor_of(
        model,
        {"tokens": PretrainedTransformerIndexer(folder)},
        PretrainedTransformerTokenizer(folder, max_length=9),
        seed=None,
    )


FAMILIES = ["lstm", "bert", "bert-tagger", "truncating"]


def build(zoo: Zoo, name: str) -> tuple[Predictor, list[dict[str, Any]]]:
    if name != "truncating":
        return zoo.build(name), zoo.inputs(name)
    texts = [text["sentence"] for text in zoo.inputs("bert")]
    return truncating(zoo.transformer("bert")), [{"tokens": text} for text in texts]


@pytest.mark.parametrize("name", FAMILIES)
def test_eight_threads(zoo: Zoo, name: str) -> None:
    check(*build(zoo, name), calls=12)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_eight_threads_with_200_calls_each(zoo: Zoo, name: str) -> None:
    check(*build(zoo, name), calls=200)


def test_batches_in_threads(zoo: Zoo) -> None:
    """Packed inputs, with predictions, while others do the same."""
    predictor, inputs = zoo.build("bert"), zoo.inputs("bert") * 2
    interpreter = IntegratedGradients(predictor, steps=4)

    def call(number: int) -> Any:
        rotated = inputs[number:] + inputs[:number]
        found = interpreter.interpret_each(rotated, predict=True)
        return [(one.prediction, [e.to_json() for e in one.explanations]) for one in found]

    serial = [call(number) for number in range(3)]
    for results in all_at_once([call] * 4, 3):
        assert results == serial


class Remembers(Awkward):
    """Keeps something of every text that it reads, under a new key, and forgets the oldest."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        summary = super().summary(texts)
        seen = self.__dict__.setdefault("seen", {})
        for _ in range(5):
            seen[object()] = summary.detach()
        while len(seen) > 300:
            seen.pop(next(iter(seen)), None)
        return summary


def test_a_model_that_changes_while_it_is_copied() -> None:
    predictor = awkward(Remembers)
    inputs = [{"tokens": text} for text in ("the plot was bad", "good film", "i had it")]
    tasks = [interprets(InputXGradient(predictor), inputs), predicts(predictor, inputs, 0)] * 2
    serial = [[task(number) for number in range(3)] for task in tasks]
    for alone, together in zip(serial, all_at_once(tasks, 40), strict=True):
        assert together == [alone[call % 3] for call in range(40)]


def test_failures_in_threads(zoo: Zoo) -> None:
    """An interpretation that fails leaves nothing behind for those that go on."""
    predictor, inputs = zoo.build("lstm"), zoo.inputs("lstm")

    def fails(number: int) -> Any:
        with pytest.raises(InterpretationError):
            InputXGradient(predictor, target=lambda outputs: outputs["no such"]).interpret_json(
                inputs[0]
            )

    tasks = [fails, predicts(predictor, inputs, 0)] * 2
    serial = [[task(number) for number in range(len(inputs))] for task in tasks]
    before = state(predictor)
    assert all_at_once(tasks, len(inputs)) == serial
    assert state(predictor) == before


def test_the_tokenizers_settings_are_left_alone(zoo: Zoo) -> None:
    """Hugging Face keeps truncation in the tokenizer, which AllenNLP shares between all that use
    one model: tokenising a baseline's text otherwise, for a moment, would let a thread that
    predicts meanwhile read texts uncut."""
    predictor, inputs = build(zoo, "truncating")
    tokenizer = predictor._dataset_reader.tokenizer.tokenizer
    predictor.predict_json(inputs[0])
    backend = tokenizer.backend_tokenizer
    assert backend.truncation["max_length"] == 9
    changes: list[str] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            if name in ("no_truncation", "enable_truncation", "enable_padding", "no_padding"):
                changes.append(name)
            return getattr(backend, name)

        def __deepcopy__(self, memo: Any) -> Any:
            return type(backend).from_str(backend.to_str())

    tokenizer._tokenizer = Watched()
    try:
        baseline = {"type": "text", "text": "the film was not a film that anybody ever had seen"}
        IntegratedGradients(predictor, steps=2, baseline=baseline).interpret_json(inputs[3])
    finally:
        tokenizer._tokenizer = backend
    assert changes == []
    assert backend.truncation["max_length"] == 9
