"""Faults of AllenNLP 2.10.1's interpreters in their numbers, and ours beside autograd's.

The numbers in brackets are those of a list of 27 defects."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.interpret.saliency_interpreters import (
    IntegratedGradient,
    SimpleGradient,
    SmoothGradient,
)
from allennlp.nn.util import find_embedding_layer
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    Gradient,
    InputXGradient,
    IntegratedGradients,
    SmoothGradients,
)
from tests.interpret.allennlp_faults import (
    Linear,
    linear_scores,
    mismatched,
    ours,
    per_word,
    shares,
    table,
    theirs,
    word_table,
)
from tests.zoo import Zoo
from tests.zoo.unusual_checks import by_hand, check_field, field_of, piece_ids, sums, word_ids
from tests.zoo.unusual_models import SPLIT, TEXT, Awkward, awkward, explain, labeled

# AllenNLP's own interpreters use backward hooks that torch warns of, and divide by zero.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_every_token_has_its_own_embedding() -> None:
    """(1) AllenNLP multiplies every token's gradient by the first token's embedding."""
    predictor = awkward(Linear)
    wanted = linear_scores(predictor, {"tokens": TEXT})["tokens"]
    # Every token has the same gradient here, so theirs are all alike.
    assert theirs(SimpleGradient, predictor, {"tokens": TEXT})["grad_input_1"] == pytest.approx(
        [1 / 7] * 7
    )
    assert ours(predictor, {"tokens": TEXT})["grad_input_1"] == pytest.approx(
        shares(wanted), rel=1e-4
    )
    found = explain(predictor, {"tokens": TEXT}).inputs[0].attributions
    assert found == pytest.approx(wanted.tolist(), rel=1e-4)


class Normalized(Awkward):
    """A LayerNorm right behind the embeddings, as in every transformer."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        return nn.functional.layer_norm(embedded, embedded.shape[-1:])


def test_smooth_gradients_survive_a_layer_norm() -> None:
    """(2) AllenNLP sums a gradient over the hidden dimension, which a LayerNorm makes zero."""
    predictor = awkward(Normalized)
    (instance,) = labeled(predictor, {"tokens": TEXT})
    (call,) = by_hand(predictor, instance, table(predictor))
    sizes = call.gradients.norm(dim=-1)[0]
    assert call.gradients.sum(-1).abs().max() < 1e-5 * sizes.max()
    first, second = (theirs(SmoothGradient, predictor, {"tokens": TEXT}) for _ in range(2))
    assert first["grad_input_1"] != pytest.approx(second["grad_input_1"], abs=0.02)

    one, other = (
        SmoothGradients(predictor, seed=seed, times_input=False, stdev=0.001, num_samples=50)
        for seed in (1, 2)
    )
    one, other = (
        method.saliency_interpret_from_json({"tokens": TEXT})["instance_1"]["grad_input_1"]
        for method in (one, other)
    )
    assert one == pytest.approx(other, abs=0.02)
    assert one == pytest.approx(shares(sizes), abs=0.02)


def test_words_beyond_the_hidden_size_have_scores(bert: str) -> None:
    """(3) AllenNLP bounds wordpieces by the hidden size, 16: words behind have exactly zero."""
    words = "the plot was not bad but good film actor of a scene and awful mary john in paris at"
    predictor = mismatched(bert)
    wanted = per_word(predictor, {"tokens": words}, bert)
    for method in (SimpleGradient, IntegratedGradient):
        scores = theirs(method, predictor, {"tokens": words})["grad_input_1"]
        assert scores[15:] == [0, 0, 0, 0]
    found = field_of(explain(predictor, {"tokens": words}), "tokens").attributions
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert all(found[15:])
    integrated = IntegratedGradients(predictor).saliency_interpret_from_json({"tokens": words})
    assert all(integrated["instance_1"]["grad_input_1"])


@pytest.mark.parametrize("name", ["distilbert", "electra"])
def test_any_transformer_has_word_embeddings(zoo: Zoo, name: str) -> None:
    """(4) AllenNLP knows four transformer classes; of others it takes the top for the bottom."""
    predictor = zoo.predictor(name)
    assert find_embedding_layer(predictor._model) is predictor._model._text_field_embedder
    embedder = predictor._model._text_field_embedder._token_embedders["tokens"]
    words = embedder.transformer_model.embeddings.word_embeddings
    text = {"sentence": "a great film but not good"}
    (instance,) = labeled(predictor, text)
    calls = by_hand(predictor, instance, words)
    found = field_of(explain(predictor, text), "tokens")
    check_field(found, calls, piece_ids(zoo.transformer(name)))
    # Only [CLS] is read at the top, so the top says nothing about the words.
    scores = theirs(SimpleGradient, predictor, text)["grad_input_1"]
    assert scores == pytest.approx([1, *[0] * 7], abs=1e-6)
    assert min(shares(found.attributions)) > 1e-4


def test_wordpieces_are_summed_and_the_rest_is_told(bert: str) -> None:
    """(5) AllenNLP multiplies a mean gradient by a mean embedding, and [CLS] and [SEP] vanish."""
    predictor = mismatched(bert)
    (instance,) = labeled(predictor, {"tokens": SPLIT})
    (call,) = by_hand(predictor, instance, word_table(predictor))
    wanted = per_word(predictor, {"tokens": SPLIT}, bert)
    means = []
    ids = call.ids[0].tolist()
    for word in SPLIT.split():
        where = [ids.index(i) for i in piece_ids(bert)(word)]
        means.append(float(call.gradients[0, where].mean(0) @ call.embeddings[0, where].mean(0)))
    assert shares(means) != pytest.approx(shares(wanted), abs=0.02)

    found = field_of(explain(predictor, {"tokens": SPLIT}), "tokens")
    assert found.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    special = float(call.products[0, [0, -1]].sum())
    assert found.unassigned == pytest.approx(special, rel=1e-4)
    assert abs(special) > 0.01 * sum(map(abs, wanted))
    averaged = field_of(explain(predictor, {"tokens": SPLIT}, aggregation="mean"), "tokens")
    counts = [len(piece_ids(bert)(word)) for word in SPLIT.split()]
    assert averaged.attributions == pytest.approx(
        [score / count for score, count in zip(wanted, counts, strict=True)], rel=1e-4, abs=1e-6
    )


class Sure(Awkward):
    """Answers the second label, whatever the text, with a probability of 1."""

    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        logits = self.summary(texts) @ self.head.weight.T + torch.tensor([0.0, 500.0, 0.0])
        outputs = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = self.loss(logits, label)
        return outputs


def test_no_gradient_gives_zeros_and_the_sign_is_kept() -> None:
    """(12) AllenNLP divides by a norm of zero, which no JSON can hold, and throws the sign away."""
    predictor = awkward(Sure)
    for method in (SimpleGradient, IntegratedGradient, SmoothGradient):
        scores = theirs(method, predictor, {"tokens": TEXT})
        assert all(map(math.isnan, scores["grad_input_1"]))
        with pytest.raises(ValueError, match="JSON"):
            json.dumps(scores, allow_nan=False)
    for method in (InputXGradient, IntegratedGradients, SmoothGradients, Gradient):
        scores = method(predictor).saliency_interpret_from_json({"tokens": TEXT})
        assert scores == {"instance_1": {"grad_input_1": [0.0] * 7}}
        (explanation,) = method(predictor).interpret_json({"tokens": TEXT})
        json.dumps(explanation.to_json(), allow_nan=False)
        assert any("zero" in warning for warning in explanation.warnings)
    signs = np.sign(explain(awkward(Linear), {"tokens": TEXT}).inputs[0].attributions)
    assert set(signs) == {-1, 1}


class Cubic(Linear):
    """The logits are the cube of a linear function: integrals along the path are known."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        # The gradient of a plain sum is one vector under the name of many, and AllenNLP, which
        # multiplies gradients in place, multiplies it with all embeddings at once.
        return super().embed(name, tensors, depth) * 1.0

    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        logits = (self.summary(texts) @ self.weight / 4) ** 3
        outputs = {"logits": logits}
        if label is not None:
            outputs["loss"] = -logits.gather(1, label.unsqueeze(1)).mean()
        return outputs


def test_integrals_are_exact_where_they_can_be(bert: str) -> None:
    """(13) AllenNLP's rule is the left one with ten points, and its baseline takes [CLS] along."""
    predictor = awkward(Cubic)
    (instance,) = labeled(predictor, {"tokens": TEXT})
    label = int(instance["label"].label)
    ids = [predictor._model.vocab.get_token_index(word) for word in TEXT.split()]
    e = table(predictor).weight[ids].detach().double()
    w = predictor._model.weight[:, label].detach().double() / 4
    # F(αx) = (α s)³ with s = Σ e_t · w; the gradient 3 α² s² w integrates to s² w.
    s = float((e @ w).sum())
    wanted = s**2 * (e @ w)
    (explanation,) = IntegratedGradients(predictor, steps=2).interpret_json({"tokens": TEXT})
    assert explanation.inputs[0].attributions == pytest.approx(wanted.tolist(), rel=1e-4)
    assert explanation.convergence_delta == pytest.approx(0, abs=1e-4 * abs(s**3))
    # The left rule with ten points finds Σ α² / 10 = 0.285 where there is 1/3.
    raw = IntegratedGradient(predictor)._integrate_gradients(instance)["grad_input_1"][0].sum(-1)
    assert -raw == pytest.approx((3 * 0.285 * wanted).numpy(), rel=1e-3)

    # The baseline keeps special tokens: nothing of the prediction is put down to them.
    (kept,) = IntegratedGradients(mismatched(bert), steps=16).interpret_json({"tokens": SPLIT})
    assert kept.inputs[0].unassigned == pytest.approx(0, abs=1e-7)
    taken = IntegratedGradients(
        mismatched(bert), steps=16, baseline={"type": "zero", "keep_special_tokens": False}
    )
    assert abs(taken.interpret_json({"tokens": SPLIT})[0].inputs[0].unassigned) > 1e-3


def test_a_batch_is_as_good_as_one() -> None:
    """(14) AllenNLP takes the gradient of a batch's mean loss, half of it in a batch of two."""
    predictor = awkward()
    texts = [{"tokens": TEXT}, {"tokens": "was it a very great film so"}]
    instances = [labeled(predictor, text)[0] for text in texts]
    alone = predictor.get_gradients([instances[0].duplicate()])[0]["grad_input_1"][0]
    halved = predictor.get_gradients(instances)[0]["grad_input_1"][0]
    assert halved == pytest.approx(alone / 2, rel=1e-4, abs=1e-7)
    together = InputXGradient(predictor).interpret_batch_json(texts)
    for text, instance, (explanation,) in zip(texts, instances, together, strict=True):
        calls = by_hand(predictor, instance, table(predictor))
        by_id, ids = sums(calls), word_ids(predictor)
        wanted = [by_id[ids(word)[0]] for word in text["tokens"].split()]
        assert explanation.inputs[0].attributions == pytest.approx(wanted, rel=1e-4)


def test_scores_come_with_their_tokens(zoo: Zoo) -> None:
    """(15) AllenNLP's prediction has the wordpieces' names, its scores are the words', unnamed."""
    predictor = zoo.predictor("bert-mismatched")
    text = {"sentence": "the actor was badly unbelievable !"}
    pieces = predictor.predict_json(text)["tokens"]
    scores = theirs(SimpleGradient, predictor, text)["grad_input_1"]
    assert len(pieces) > len(scores) == 6
    found = explain(predictor, text).inputs[0]
    assert found.tokens == ["the", "actor", "was", "badly", "unbelievable", "!"]
    assert len(found.attributions) == 6
    assert [text["sentence"][slice(*span)] for span in found.offsets] == found.tokens
