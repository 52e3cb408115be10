"""Reading comprehension: what is explained besides what every predictor shows."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from allennlp.data import Batch, Instance
from allennlp.models import Model
from allennlp.predictors import Predictor
from allennlp_models.rc.models import BidafEnsemble

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients, InterpretationError
from tests.zoo.allennlp_models import ARCHIVES, Archives
from tests.zoo.transformers import spread

INPUTS = [dict(one) for one in ARCHIVES["bidaf"].inputs]


def ensemble_of(predictor: Predictor) -> Predictor:
    """Two models with other weights, as an ensemble."""
    first: Any = predictor._model
    second = copy.deepcopy(first)
    second.vocab = first.vocab
    spread(second, seed=7, scale=2.0)
    together = BidafEnsemble([first, second]).eval()
    return type(predictor)(together, predictor._dataset_reader)


def test_an_ensemble_is_explained_in_all_its_members(archives: Archives) -> None:
    predictor = ensemble_of(archives.predictor("bidaf"))
    together = InputXGradient(predictor).interpret_batch_json(INPUTS)
    for given, (found,) in zip(INPUTS, together, strict=True):
        prediction = predictor.predict_json(given)
        assert found.target["label"] == prediction["best_span_str"]
        assert found.target["field"] == "passage"
        value, scores = by_hand(predictor, given)
        assert found.target["value"] == pytest.approx(value, rel=1e-5)
        ours = [score for one in found.inputs for score in one.attributions]
        assert ours == pytest.approx(scores, rel=1e-4, abs=1e-5)


def by_hand(predictor: Predictor, given: dict[str, str]) -> tuple[float, list[float]]:
    """The logarithm of the mean probabilities of both ends, and its gradient times input summed
    over the members."""
    ensemble: Any = predictor._model
    instance = predictor._json_to_instance(dict(given))
    predictor._dataset_reader.apply_token_indexers(instance)
    batch = Batch([instance])
    batch.index_instances(ensemble.vocab)
    tensors = {
        name: value
        for name, value in batch.as_tensor_dict().items()
        if name in ("question", "passage")
    }
    embedded: list[list[torch.Tensor]] = []
    outputs = []
    for member in ensemble.submodels:
        own: list[torch.Tensor] = []
        hook = member._text_field_embedder.register_forward_hook(
            lambda module, args, output, own=own: own.append(output)
        )
        outputs.append(member(**tensors))
        hook.remove()
        embedded.append(own)
    mean = {
        name: sum(one[f"span_{name}_probs"] for one in outputs) / 2 for name in ("start", "end")
    }
    first, last = ensemble(**tensors)["best_span"][0].tolist()
    value = mean["start"][0, first].log() + mean["end"][0, last].log()
    calls = [one for own in embedded for one in own]
    gradients = torch.autograd.grad(value, calls)
    products = [(one * own).sum(-1)[0] for one, own in zip(calls, gradients, strict=True)]
    question, passage = products[0] + products[2], products[1] + products[3]
    return float(value.detach()), [*passage.tolist(), *question.tolist()]


def test_gradients_of_an_ensemble_are_integrated(archives: Archives) -> None:
    (found,) = IntegratedGradients(ensemble_of(archives.predictor("bidaf"))).interpret_json(
        INPUTS[0]
    )
    due = found.target["value"] - found.target["baseline_value"]
    assert found.convergence_delta is not None
    assert abs(found.convergence_delta) <= 0.01 * abs(due)


@pytest.mark.parametrize("name", ["bidaf", "qanet"])
def test_the_logits_of_both_ends_can_be_explained(archives: Archives, name: str) -> None:
    predictor = archives.predictor(name)
    prediction = predictor.predict_json(INPUTS[0])
    (found,) = InputXGradient(predictor, target="span").interpret_json(INPUTS[0])
    first, last = prediction["best_span"]
    expected = prediction["span_start_logits"][first] + prediction["span_end_logits"][last]
    assert found.target["value"] == pytest.approx(expected, rel=1e-5)
    assert found.target["label"] == prediction["best_span_str"]


def test_the_kind_of_an_answer_is_told(archives: Archives) -> None:
    for kind in ("passage_span", "question_span", "arithmetic", "count"):
        name = f"naqanet-{kind.replace('_', '-')}"
        given = dict(ARCHIVES[name].inputs[0])
        (found,) = InputXGradient(archives.predictor(name)).interpret_json(given)
        assert found.target["answer_type"] == kind
        if kind == "arithmetic":
            (passage,) = (one for one in found.inputs if one.field == "passage")
            assert all(passage.tokens[n].isdecimal() for n in found.target["positions"])


def test_one_ability_is_enough(archives: Archives) -> None:
    """A model that gives one kind of answer has no probability of it."""
    predictor = archives.predictor("naqanet-count")
    model: Any = predictor._model
    model.answering_abilities = ["counting"]
    given = dict(ARCHIVES["naqanet-count"].inputs[0])
    (found,) = InputXGradient(predictor).interpret_json(given)
    assert found.target["label"] == str(predictor.predict_json(given)["answer"]["count"])
    assert found.target["value"] < 0


class Silent(Model):
    """A reading model whose answer nobody knows."""

    def forward_on_instance(self, instance: Instance) -> dict[str, Any]:
        return {"confidence": 1.0}


def test_unknown_answers_are_refused(archives: Archives) -> None:
    known = archives.predictor("bidaf")
    model = Silent(known._model.vocab)
    model.own = known._model._text_field_embedder  # type: ignore[assignment]
    predictor = type(known)(model, known._dataset_reader)
    with pytest.raises(InterpretationError, match="neither a 'best_span' nor an 'answer'"):
        InputXGradient(predictor).interpret_json(INPUTS[0])
