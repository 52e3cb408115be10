"""one-hot-gradient, against autograd by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from allennlp.data import Instance
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    IntegratedGradients,
    OneHotGradient,
)
from tests.interpret.methods.gradient.test_smooth_gradients import TEXT, scores
from tests.zoo import Zoo
from tests.zoo.functions import Opened, embedding_layer
from tests.zoo.transformers import spread
from tests.zoo.unusual_models import Reader, vocabulary, words_embedder


class TestOneHot:
    @pytest.mark.parametrize("name", ["bert", "lstm", "gemma"])
    @pytest.mark.parametrize("target", ["logit", "log-likelihood"])
    def test_as_autograd_has_it(self, zoo: Zoo, name: str, target: str) -> None:
        """One-hot vectors times the matrix as the input, `(tokens, vocabulary)` and all."""
        predictor = zoo.predictor(name)
        opened = Opened.of(predictor, TEXT)
        layer = embedding_layer(predictor)
        words = layer(torch.arange(len(layer.weight))).detach()  # type: ignore[arg-type]
        one_hot = nn.functional.one_hot(opened.indices, len(words)).float().requires_grad_()
        logits = opened.logits(one_hot @ words)[0]
        value = (logits if target == "logit" else logits.log_softmax(0))[opened.label]
        (g,) = torch.autograd.grad(value, one_hot)
        expected = g[0].norm(dim=-1).tolist()
        assert max(expected) > 0.1
        found = scores(OneHotGradient(predictor, target=target))
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-5)

    def test_wordpieces_add_up(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert-mismatched")
        matched = zoo.predictor("bert")
        assert len(scores(OneHotGradient(predictor))) < len(scores(OneHotGradient(matched)))
        (explanation,) = OneHotGradient(predictor).interpret_json({"sentence": TEXT})
        assert explanation.inputs[0].unassigned > 0
        assert min(explanation.inputs[0].attributions) > 0

    def test_a_matrix_that_changed_in_place(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        interpreter = OneHotGradient(predictor)
        once = scores(interpreter)
        weight = embedding_layer(predictor).weight
        with torch.no_grad():
            # A word that the text has not: nothing of the model changes but the vocabulary.
            weight[predictor._model.vocab.get_token_index("paris")] += 10
        again = scores(interpreter)
        assert again == scores(OneHotGradient(predictor))
        assert np.abs(np.subtract(once, again)).max() > 0.1


class Answering(Model):
    """Finds the answer to a question in a passage: the first and last position of a span."""

    def __init__(self, vocab: Any) -> None:
        super().__init__(vocab)
        self.text_field_embedder = words_embedder(vocab)
        self.reader = nn.LSTM(8, 10, batch_first=True)
        self.asked = nn.Linear(8, 10)
        self.ends = nn.Linear(10, 2)

    def forward(self, question: Any, passage: Any) -> dict[str, Tensor]:
        mask = get_text_field_mask(question).unsqueeze(-1)
        asked = (self.asked(self.text_field_embedder(question)) * mask).sum(1, keepdim=True)
        mask = get_text_field_mask(passage)
        read = self.reader(self.text_field_embedder(passage))[0]
        logits = self.ends(torch.tanh(read * asked + read))
        logits = logits.masked_fill(~mask.unsqueeze(-1), torch.finfo(logits.dtype).min)
        start, end = logits.unbind(-1)
        return {"span_start_logits": start, "span_end_logits": end}


class AnsweringPredictor(Predictor):
    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        return self._dataset_reader.text_to_instance(**json_dict)

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        return [instance]


class TestSpans:
    GIVEN: ClassVar = {"question": "who was it", "passage": "mary smith was in the great scene"}

    @pytest.fixture(scope="class")
    def predictor(self) -> AnsweringPredictor:
        model = Answering(vocabulary())
        spread(model, 1, 2.0)
        reader = Reader({"tokens": SingleIdTokenIndexer()}, WhitespaceTokenizer())
        return AnsweringPredictor(model.eval(), reader)

    def by_hand(
        self, predictor: AnsweringPredictor, span: tuple[int, int] | None
    ) -> tuple[dict[str, list[float]], float, tuple[int, int]]:
        """‖∂(start + end)/∂one-hot‖, of the best span with start <= end unless given."""
        model: Any = predictor._model
        matrix = model.text_field_embedder.token_embedder_tokens.weight.detach()
        one_hots = {
            name: nn.functional.one_hot(
                torch.tensor([[model.vocab.get_token_index(word) for word in text.split()]]),
                len(matrix),
            )
            .float()
            .requires_grad_()
            for name, text in self.GIVEN.items()
        }
        asked = model.asked(one_hots["question"] @ matrix).sum(1, keepdim=True)
        read = model.reader(one_hots["passage"] @ matrix)[0]
        start, end = model.ends(torch.tanh(read * asked + read))[0].unbind(-1)
        if span is None:
            pairs = [(i, j) for i in range(len(start)) for j in range(i, len(end))]
            span = max(pairs, key=lambda pair: float(start[pair[0]] + end[pair[1]]))
        value = start[span[0]] + end[span[1]]
        found = torch.autograd.grad(value, list(one_hots.values()))
        norms = {name: g[0].norm(dim=-1).tolist() for name, g in zip(one_hots, found, strict=True)}
        return norms, float(value), span

    @pytest.mark.parametrize("span", [None, (2, 4), (1, None)])
    def test_as_people_know_it(
        self, predictor: AnsweringPredictor, span: tuple[int, int] | None
    ) -> None:
        target: Any = "span" if span is None else {"type": "span", "start": span[0], "end": span[1]}
        given = None
        if span is not None:
            _, _, best = self.by_hand(predictor, None)
            given = (span[0], best[1] if span[1] is None else span[1])
        norms, value, chosen = self.by_hand(predictor, given)
        assert chosen[0] <= chosen[1]
        interpreter = OneHotGradient(predictor, target=target, normalization="max-abs")
        (explanation,) = interpreter.interpret_json(self.GIVEN)
        assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
        for one in explanation.inputs:
            assert one.attributions == pytest.approx(norms[one.field], abs=1e-5)
        (found,) = interpreter.saliency_interpret_from_json(self.GIVEN).values()
        for one in explanation.inputs:
            own = np.array(norms[one.field])
            assert found[one.grad_input] == pytest.approx(own / own.max(), abs=1e-5)

    def test_batch_equals_single(self, predictor: AnsweringPredictor) -> None:
        inputs = [self.GIVEN, {"question": "who lives in the paris", "passage": "john lives"}]
        interpreter = IntegratedGradients(predictor, target="span", steps=8)
        for given, (together,) in zip(
            inputs, interpreter.interpret_batch_json(inputs), strict=True
        ):
            (alone,) = interpreter.interpret_json(given)
            for left, right in zip(together.inputs, alone.inputs, strict=True):
                assert left.attributions == pytest.approx(right.attributions, abs=1e-5)

    def test_the_span_stays_along_the_path(self, predictor: AnsweringPredictor) -> None:
        """The span of the input is explained, not the one that a baseline would choose."""
        interpreter = IntegratedGradients(predictor, target="span", steps=64)
        (explanation,) = interpreter.interpret_json(self.GIVEN)
        change = explanation.target["value"] - explanation.target["baseline_value"]
        total = sum(sum(one.attributions) for one in explanation.inputs)
        assert total == pytest.approx(change, abs=0.02)
