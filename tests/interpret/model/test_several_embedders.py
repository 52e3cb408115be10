"""Models with several text field embedders: all of them count, as by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from allennlp.data import DatasetReader, Instance, Token, Vocabulary
from allennlp.data.fields import LabelField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    DeepLift,
    InputXGradient,
    IntegratedGradients,
    LayerwiseRelevancePropagation,
    LeaveOneOut,
)

WORDS = "the film was bad mary lives in paris".split()
PAIRS = [
    {"premise": "the film was bad", "hypothesis": "mary lives"},
    {"premise": "paris", "hypothesis": "the film was bad in paris"},
]


class _Reader(DatasetReader):
    def text_to_instance(self, *inputs: Any) -> Instance:
        premise, hypothesis = (
            TextField([Token(word) for word in text.split()], {"tokens": SingleIdTokenIndexer()})
            for text in inputs
        )
        return Instance({"premise": premise, "hypothesis": hypothesis})

    def _read(self, file_path: Any) -> Iterator[Instance]:
        return iter(())


class _Pair(Model):
    """A text by one embedder, the other by another; or, if `twice`, the first by both as well."""

    def __init__(self, twice: bool) -> None:
        vocab = Vocabulary()
        for space, names in (("tokens", WORDS), ("labels", "abc")):
            for name in names:
                vocab.add_token_to_namespace(name, space)
        super().__init__(vocab)
        size = vocab.get_vocab_size("tokens")
        self.of_premise = BasicTextFieldEmbedder({"tokens": Embedding(4, size)})
        self.of_hypothesis = BasicTextFieldEmbedder({"tokens": Embedding(4, size)})
        self.twice = twice
        self.between, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        torch.manual_seed(0)
        for weight in self.parameters():
            nn.init.normal_(weight)

    def text(self, vectors: Tensor, mask: Tensor) -> Tensor:
        return (torch.tanh(self.between(vectors)) * mask.unsqueeze(-1)).sum(1)

    def forward(self, premise: Any, hypothesis: Any, label: Tensor | None = None) -> Any:  # type: ignore[override]
        masks = [get_text_field_mask(one).float() for one in (premise, hypothesis)]
        first = self.of_premise(premise)
        if self.twice:
            first = first * torch.sigmoid(self.of_hypothesis(premise))
        logits = self.head(
            self.text(first, masks[0]) * self.text(self.of_hypothesis(hypothesis), masks[1])
        )
        outputs = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = F.cross_entropy(logits, label)
        return outputs


class _Predictor(Predictor):
    def _json_to_instance(self, json_dict: Any) -> Instance:
        return self._dataset_reader.text_to_instance(json_dict["premise"], json_dict["hypothesis"])

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        labelled = instance.duplicate()
        best = max(range(3), key=outputs["logits"].__getitem__)
        labelled.add_field("label", LabelField(best, skip_indexing=True))
        return [labelled]


class _NamesFirst(_Predictor):
    def get_interpretable_text_field_embedder(self) -> nn.Module:
        model: Any = self._model
        return model.of_premise


def predictor(twice: bool, kind: type[_Predictor] = _Predictor) -> _Predictor:
    return kind(_Pair(twice).eval(), _Reader())


def by_hand(made: _Predictor, given: dict[str, str]) -> tuple[float, dict[str, list[float]]]:
    """The logit, and per text the embeddings times their gradients, of all embedders."""
    model: Any = made._model
    leaves: list[Tensor] = []

    def leaf(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    layers = [one.token_embedder_tokens for one in (model.of_premise, model.of_hypothesis)]
    handles = [layer.register_forward_hook(leaf) for layer in layers]
    ids = {
        name: torch.tensor([[model.vocab.get_token_index(word) for word in text.split()]])
        for name, text in given.items()
    }
    logits = model(**{name: {"tokens": {"tokens": one}} for name, one in ids.items()})["logits"]
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(logits.max(), leaves)
    *premise, hypothesis = (
        (one.detach() * gradient).sum(-1)[0]
        for one, gradient in zip(leaves, gradients, strict=True)
    )
    scores = {"premise": sum(premise, torch.zeros(1)), "hypothesis": hypothesis}
    return logits.max().item(), {name: one.tolist() for name, one in scores.items()}


@pytest.mark.parametrize("twice", [False, True])
def test_every_embedder_counts(twice: bool) -> None:
    made = predictor(twice)
    method = InputXGradient(made, target="logit")
    for given, batch in zip(PAIRS, method.interpret_batch_json(PAIRS), strict=True):
        value, scores = by_hand(made, given)
        for (found,) in (method.interpret_json(given), batch):
            assert found.target["value"] == pytest.approx(value, abs=1e-5)
            assert {part.field for part in found.inputs} == set(scores)
            for part in found.inputs:
                assert part.attributions == pytest.approx(scores[part.field], abs=1e-5)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("method", [IntegratedGradients, DeepLift, LayerwiseRelevancePropagation])
def test_complete_from_a_baseline_of_all(method: Any, twice: bool) -> None:
    made = predictor(twice)
    (found,) = method(made, target="logit").interpret_json(PAIRS[0])
    base = found.target.get("baseline_value", 0.0)
    size = abs(found.target["value"] - base)
    assert found.convergence_delta == pytest.approx(0, abs=1e-2 * size)
    if "baseline_value" in found.target:
        model: Any = made._model
        nothing = model.text(torch.zeros(1, 4, 4), torch.ones(1, 4))
        other = model.text(torch.zeros(1, 2, 4), torch.ones(1, 2))
        label = model.vocab.get_token_index(found.target["label"], "labels")
        right = model.head(nothing * other)[0, label].item()
        assert found.target["baseline_value"] == pytest.approx(right, abs=1e-5)


def test_leave_one_out_leaves_a_word_out_of_every_embedder() -> None:
    made = predictor(twice=True)
    (found,) = LeaveOneOut(made, target="logit", baseline="zero").interpret_json(PAIRS[0])
    model: Any = made._model
    premise = next(part for part in found.inputs if part.field == "premise")
    value, _ = by_hand(made, PAIRS[0])
    logits = made.predict_json(PAIRS[0])["logits"]
    label = max(range(3), key=logits.__getitem__)
    for place, score in enumerate(premise.attributions):

        def out(module: nn.Module, args: Any, output: Tensor, place: int = place) -> Tensor:
            if output.shape[1] != len(premise.tokens):
                return output
            kept = torch.ones(output.shape[1], 1)
            kept[place] = 0
            return output * kept

        layers = [one.token_embedder_tokens for one in (model.of_premise, model.of_hypothesis)]
        handles = [layer.register_forward_hook(out) for layer in layers]
        without = made.predict_json(PAIRS[0])["logits"][label]
        for handle in handles:
            handle.remove()
        assert score == pytest.approx(value - without, abs=1e-5)


def test_a_predictor_that_names_one() -> None:
    made = predictor(twice=False, kind=_NamesFirst)
    (found,) = InputXGradient(made, target="logit").interpret_json(PAIRS[0])
    _, scores = by_hand(made, PAIRS[0])
    (part,) = found.inputs
    assert part.field == "premise"
    assert not found.warnings
    assert part.attributions == pytest.approx(scores["premise"], abs=1e-5)


class _BesidePair(_Pair):
    """The hypothesis goes through an embedding of torch's, which is no text field embedder."""

    def __init__(self, twice: bool) -> None:
        super().__init__(twice)
        size = self.vocab.get_vocab_size("tokens")
        self.of_hypothesis = self.beside = nn.Embedding(size, 4)

    def forward(self, premise: Any, hypothesis: Any, label: Tensor | None = None) -> Any:  # type: ignore[override]
        first = self.text(self.of_premise(premise), get_text_field_mask(premise).float())
        ids = hypothesis["tokens"]["tokens"]
        logits = self.head(first * self.text(self.beside(ids), (ids > 0).float()))
        loss = {} if label is None else {"loss": F.cross_entropy(logits, label)}
        return {"logits": logits, "probs": logits.softmax(-1), **loss}


def test_a_text_without_scores_is_named() -> None:
    made = _Predictor(_BesidePair(twice=False).eval(), _Reader())
    for method in (InputXGradient, IntegratedGradients, LeaveOneOut):
        ((found,), (other,)) = method(made, target="logit").interpret_batch_json(PAIRS)
        for one in (found, other):
            assert {part.field for part in one.inputs} == {"premise"}
            assert any("field 'hypothesis' has no scores" in said for said in one.warnings)
