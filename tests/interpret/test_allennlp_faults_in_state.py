"""Faults of AllenNLP 2.10.1's interpreters around the numbers: state, models, inputs; and ours.

The numbers in brackets are those of a list of 27 defects. Not here, and why:

- 21 (`capture_model_internals` leaves its hooks behind after an exception) is in a method of
  AllenNLP's `Predictor` that no interpreter of ours calls and no predictor of ours overrides.

Threads (part of 24) have a file of their own, `interpreter/test_threads.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from allennlp.data import Instance
from allennlp.data.fields import TextField
from allennlp.data.tokenizers import Token
from allennlp.interpret.saliency_interpreters import (
    IntegratedGradient,
    SimpleGradient,
    SmoothGradient,
)
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.training.metrics import CategoricalAccuracy
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    Gradient,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SmoothGradients,
)
from tests.interpret.allennlp_faults import (
    mismatched,
    per_word,
    table,
    theirs,
    word_table,
)
from tests.zoo.taggers import tagger
from tests.zoo.unusual_checks import by_hand, check_field, piece_ids, sums, word_ids
from tests.zoo.unusual_models import (
    DIM,
    SPLIT,
    TEXT,
    Awkward,
    AwkwardPredictor,
    awkward,
    explain,
    labeled,
    predictor_of,
    vocabulary,
)

# AllenNLP's own interpreters use backward hooks that torch warns of, and divide by zero.
pytestmark = pytest.mark.filterwarnings("ignore")


def hooks(model: nn.Module) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.modules()
    )


class Unlabeled(AwkwardPredictor):
    """Says which labels there are by not saying any."""

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        return [instance]


def test_a_failure_leaves_nothing_behind(bert: str) -> None:
    """(16) AllenNLP leaves `requires_grad` set, hooks in place and a stale offset."""
    for method, left in ((None, False), (SimpleGradient, True)):
        predictor = mismatched(bert, predictor=Unlabeled)
        for parameter in predictor._model.parameters():
            parameter.requires_grad_(False)
        if method is None:
            with pytest.raises(InterpretationError, match="no loss"):
                explain(predictor, {"tokens": SPLIT})
        else:
            with pytest.raises(KeyError):
                theirs(method, predictor, {"tokens": SPLIT})
        required = any(parameter.requires_grad for parameter in predictor._model.parameters())
        assert required == left
        assert (hooks(predictor._model) > 0) == left
        assert bool(predictor._token_offsets) == left


def test_offsets_of_another_call_are_not_taken(bert: str) -> None:
    """(17) AllenNLP's next call takes the offsets that a failed one left: 4 scores for 2 words."""
    predictor = mismatched(bert)
    wanted = per_word(predictor, {"tokens": "not good"}, bert)
    stale = torch.tensor([[[1, 1], [2, 2], [3, 3], [3, 3]]])
    predictor._token_offsets.append(stale)
    found = explain(predictor, {"tokens": "not good"}).inputs[0]
    assert found.attributions == pytest.approx(wanted, rel=1e-4)
    assert [len(predictor._token_offsets), predictor._token_offsets[0] is stale] == [1, True]
    grads, _ = predictor.get_gradients(labeled(predictor, {"tokens": "not good"}))
    assert grads["grad_input_1"].shape[1] == 4


def test_gradients_of_the_user_are_kept() -> None:
    """(18) AllenNLP wipes every parameter's `.grad`, then leaves its own in them."""
    predictor = awkward()
    parameters = list(predictor._model.parameters())
    for number, parameter in enumerate(parameters[1:]):
        parameter.grad = torch.full_like(parameter, number)
    kept = [parameter.grad for parameter in parameters]
    for method in (InputXGradient, IntegratedGradients, SmoothGradients):
        method(predictor).interpret_json({"tokens": TEXT})
    assert all(p.grad is g for p, g in zip(parameters, kept, strict=True))
    assert all(bool((g == n).all()) for n, g in enumerate(kept[1:]))
    theirs(SimpleGradient, predictor, {"tokens": TEXT})
    assert all(p.grad is not g for p, g in zip(parameters, kept, strict=True))


class Measured(Awkward):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accuracy = CategoricalAccuracy()

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        self.accuracy(logits, label)
        return super().loss(logits, label)

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        return {"accuracy": self.accuracy.get_metric(reset)}


def test_metrics_count_what_the_user_measured() -> None:
    """(19) AllenNLP runs labelled instances through the model: an accuracy of 1 out of nowhere."""
    predictor = awkward(Measured)
    for method in (InputXGradient, IntegratedGradients, SmoothGradients):
        method(predictor).interpret_json({"tokens": TEXT})
    assert predictor._model.get_metrics() == {"accuracy": 0}
    theirs(SimpleGradient, predictor, {"tokens": TEXT})
    assert predictor._model.get_metrics() == {"accuracy": 1}


class TanhEmbedder(BasicTextFieldEmbedder):
    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return torch.tanh(super().forward(*args, **kwargs))


class AtTheTop(AwkwardPredictor):
    def get_interpretable_layer(self) -> nn.Module:
        return self._model.text_field_embedder


def test_layers_may_end_in_tanh() -> None:
    """(20) AllenNLP scales outputs in place, which the backward pass of tanh still needs."""
    vocab = vocabulary()
    embedder = TanhEmbedder({"tokens": Embedding(embedding_dim=DIM, vocab=vocab)})
    predictor = predictor_of(Awkward(vocab, embedder), predictor=AtTheTop)
    for method in (IntegratedGradient, SmoothGradient):
        with pytest.raises(RuntimeError, match="inplace"):
            theirs(method, predictor, {"tokens": TEXT})
    (instance,) = labeled(predictor, {"tokens": TEXT})
    (call,) = by_hand(predictor, instance, embedder)
    found = explain(predictor, {"tokens": TEXT}).inputs[0].attributions
    assert found == pytest.approx(call.products[0].tolist(), rel=1e-4)
    for ours_too in (IntegratedGradients, SmoothGradients):
        assert any(ours_too(predictor).interpret_json({"tokens": TEXT})[0].inputs[0].attributions)


class Bare(Model):
    """Embeds without a text field embedder."""

    def __init__(self) -> None:
        super().__init__(vocabulary())
        self.table = nn.Embedding(100, DIM)

    def forward(self, tokens: Any, label: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.table(tokens["tokens"]["tokens"]).sum(1)
        outputs = {"logits": logits}
        if label is not None:
            outputs["loss"] = nn.functional.cross_entropy(logits, label)
        return outputs


class NamesItsLayer(AwkwardPredictor):
    def get_interpretable_layer(self) -> nn.Module:
        return self._model.table


def test_a_model_without_an_embedder_is_told_what_to_do() -> None:
    """(22) AllenNLP's text on the embedder is never shown: it catches the wrong exception."""
    predictor = predictor_of(Bare())
    for method in (InputXGradient, IntegratedGradients, SmoothGradients):
        with pytest.raises(InterpretationError, match="override get_interpretable_layer"):
            method(predictor).interpret_json({"tokens": TEXT})
    # Ours helps; who does as theirs says stands before the next error, without a way out.
    helped = predictor_of(Bare(), predictor=NamesItsLayer)
    (instance,) = labeled(helped, {"tokens": TEXT})
    calls = by_hand(helped, instance, helped._model.table)
    check_field(explain(helped, {"tokens": TEXT}).inputs[0], calls, word_ids(helped))
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        theirs(SimpleGradient, helped, {"tokens": TEXT})
    assert "override" not in str(caught.value)


class Dropping(Awkward):
    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        return nn.functional.dropout(super().embed(name, tensors, depth), 0.5, self.training)


def test_an_unfrozen_predictor_is_explained_as_it_predicts() -> None:
    """(23) AllenNLP predicts with an unfrozen model in evaluation mode; the mode is the user's."""
    predictor = awkward(Dropping)
    evaluated = explain(predictor, {"tokens": TEXT})
    unfrozen = AwkwardPredictor(predictor._model.train(), predictor._dataset_reader, frozen=False)
    assert predictor._model.training
    # Without dropout, in whatever mode: the same text has one explanation, that of its prediction.
    assert explain(unfrozen, {"tokens": TEXT}) == evaluated
    assert all(module.training for module in predictor._model.modules())


def test_smooth_gradients_are_seeded_and_disturb_nobody() -> None:
    """(24) AllenNLP draws from the process's random state, over the range of the whole tensor."""
    predictor = awkward()
    text = {"tokens": TEXT}
    state = torch.get_rng_state()
    assert theirs(SmoothGradient, predictor, text) != theirs(SmoothGradient, predictor, text)
    assert not torch.equal(torch.get_rng_state(), state)

    state, cudnn = torch.get_rng_state(), torch.backends.cudnn.enabled
    one, same = (SmoothGradients(predictor, seed=4).interpret_json(text) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.cudnn.enabled == cudnn
    assert one == same
    assert one != SmoothGradients(predictor, seed=5).interpret_json(text)

    # A neighbour with large embeddings changes nobody's noise.
    loud = table(predictor).weight.data[word_ids(predictor)("awful")[0]]
    loud *= 100
    neighbour = {"tokens": "awful plot was not bad but good"}
    packed = SmoothGradients(predictor, seed=4).interpret_batch_json([text, neighbour])[0]
    assert packed[0].inputs[0].attributions == pytest.approx(
        one[0].inputs[0].attributions, rel=1e-4, abs=1e-7
    )


def test_taggers_of_any_scheme() -> None:
    """(25) AllenNLP reads BIOUL tags: at others it runs off the end, and no entity gives `{}`."""
    tags = {"john": "B-PER", "smith": "I-PER", "paris": "B-LOC"}
    predictor = tagger(tags)
    text = {"sentence": "john smith lives in paris"}
    with pytest.raises(IndexError):
        predictor.json_to_labeled_instances(text)
    explanations = InputXGradient(predictor).interpret_json(text)
    assert [one.target["positions"] for one in explanations] == [[0, 1], [4]]
    assert [one.target["label"] for one in explanations] == ["B-PER I-PER", "B-LOC"]
    instance = predictor._json_to_instance(text)
    for where, labels, one in zip(([0, 1], [4]), ([1, 2], [3]), explanations, strict=True):

        def target(
            outputs: Mapping[str, Tensor],
            where: list[int] = where,
            labels: list[int] = labels,
        ) -> Tensor:
            return -nn.functional.cross_entropy(outputs["logits"][0, where], torch.tensor(labels))

        calls = by_hand(predictor, instance, table(predictor), target)
        check_field(one.inputs[0], calls, word_ids(predictor))
    nothing = tagger({})
    assert InputXGradient(nothing).interpret_json(text) == []
    (line,) = InputXGradient(nothing).interpret_each([text], predict=True)
    assert line.error is None
    assert line.prediction is not None
    assert line.prediction["tags"] == ["O"] * 5


class TakesTokens(AwkwardPredictor):
    """Words as they come, empty ones too."""

    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        return Instance({"tokens": TextField([Token(word) for word in json_dict["tokens"]])})


def test_an_empty_token_scores_zero(bert: str) -> None:
    """(26) AllenNLP issue 4612: the token has no wordpiece, and offsets of -1 wrap around."""
    predictor = mismatched(bert, predictor=TakesTokens)
    words = {"tokens": ["the", "", "badly", "good"]}
    (instance,) = labeled(predictor, words)
    by_id, ids = sums(by_hand(predictor, instance, word_table(predictor))), piece_ids(bert)
    wanted = [sum(by_id[i] for i in ids(word)) if word else 0.0 for word in words["tokens"]]
    found = explain(predictor, words).inputs[0]
    assert found.tokens == words["tokens"]
    assert found.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    for method in (IntegratedGradients, SmoothGradients, Gradient):
        scores = method(predictor).saliency_interpret_from_json(words)["instance_1"]
        assert scores["grad_input_1"][1] == 0
        assert sum(scores["grad_input_1"]) == pytest.approx(1)


def test_a_sure_model_has_reasons_all_the_same() -> None:
    """(27) AllenNLP explains the loss alone, whose gradient vanishes when the model is sure."""
    predictor = awkward()
    with torch.no_grad():
        predictor._model.head.weight *= 1e5
        predictor._model.head.bias *= 1e5
    (instance,) = labeled(predictor, {"tokens": TEXT})
    label = int(instance["label"].label)
    assert all(map(math.isnan, theirs(SimpleGradient, predictor, {"tokens": TEXT})["grad_input_1"]))
    calls = by_hand(
        predictor, instance, table(predictor), lambda outputs: outputs["logits"][0, label]
    )
    found = explain(predictor, {"tokens": TEXT}, target="logit").inputs[0]
    check_field(found, calls, word_ids(predictor))
    assert all(map(math.isfinite, found.attributions))
    assert all(found.attributions)
    for method in (IntegratedGradients, SmoothGradients):
        scores = method(predictor, target="logit").saliency_interpret_from_json({"tokens": TEXT})
        assert sum(scores["instance_1"]["grad_input_1"]) == pytest.approx(1)
