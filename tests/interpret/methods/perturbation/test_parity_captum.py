"""The same numbers as captum's perturbation methods, of the same coalitions, on word indices.

On captum's side a removed token's index is that of the mask token; ours replaces its embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import FeatureAblation, LimeBase, ShapleyValueSampling
from torch import Tensor

from allennlp_saliency.interpret import LeaveOneOut, Lime, SaliencyInterpreter, ShapleySampling
from allennlp_saliency.interpret.coalitions.game import Estimator, UnitScores
from allennlp_saliency.interpret.methods.perturbation.lime import neighbours, proximity
from allennlp_saliency.interpret.methods.perturbation.perturbation_method import (
    PerturbationMethod,
)
from allennlp_saliency.interpret.methods.perturbation.shapley_sampling import (
    marginal_contributions,
    prefixes,
)
from tests.interpret.methods.test_parity_captum import TEXT, Subject, check, scores
from tests.zoo import Zoo

each_model = pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "electra", "albert"])


class Removed:
    """A text whose tokens can be masked, as captum sees it."""

    def __init__(self, zoo: Zoo, name: str, target: str = "log-likelihood") -> None:
        self.predictor = zoo.predictor(name)
        self.subject = Subject.of(self.predictor, name, target)
        tokenizer = self.predictor._dataset_reader._token_indexers["tokens"]._tokenizer
        self.mask_id: int = tokenizer.mask_token_id
        self.special = self.subject.kept
        self.units = int((~self.special).sum())

    def masked(self, stays: Tensor) -> Tensor:
        """The indices with tokens masked, `(rows, positions)`; `stays` is `(rows, units)`."""
        indices = self.subject.indices.repeat(len(stays), 1)
        own = indices[:, ~self.special]
        indices[:, ~self.special] = torch.where(stays.bool(), own, self.mask_id)
        return indices

    @torch.no_grad()
    def values(self, stays: Tensor) -> Tensor:
        return self.subject.forward(self.masked(stays))

    def spread(self, units: Tensor) -> list[float]:
        """A number per unit as one per token."""
        whole = torch.zeros(len(self.special), dtype=torch.float64)
        whole[~self.special] = units.double()
        return whole.tolist()


@each_model
@pytest.mark.parametrize("target", ["log-likelihood", "logit", "probability"])
def test_leave_one_out_is_feature_ablation(zoo: Zoo, name: str, target: str) -> None:
    removed = Removed(zoo, name, target)
    features = torch.arange(removed.subject.indices.shape[1])[None]
    theirs = (
        FeatureAblation(removed.subject.forward)
        .attribute(removed.subject.indices, baselines=removed.mask_id, feature_mask=features)[0]
        .double()
    )
    theirs[removed.special] = 0
    ours = LeaveOneOut(removed.predictor, target=target, baseline="mask")
    check(scores(ours), theirs.tolist())


class GivenOrders(PerturbationMethod):
    """Shapley values of given orders."""

    orders: np.ndarray

    def estimator(self, units: int) -> Estimator:
        ends = yield np.array([[False] * units, [True] * units])
        values = yield prefixes(self.orders)
        found = marginal_contributions(self.orders, values, float(ends[0]), float(ends[1]))
        return UnitScores(found.mean(axis=0))


@each_model
def test_shapley_sampling_is_captums_on_the_same_orders(zoo: Zoo, name: str) -> None:
    removed = Removed(zoo, name)
    generator = torch.Generator().manual_seed(3)
    orders = [torch.randperm(removed.units, generator=generator).tolist() for _ in range(4)]
    captum = ShapleyValueSampling(lambda stays: removed.values(stays))
    captum.permutation_generator = lambda features, samples: iter(orders)
    theirs = captum.attribute(torch.ones(1, removed.units), n_samples=len(orders))[0]
    ours = GivenOrders(removed.predictor, baseline="mask")
    ours.orders = np.array(orders)
    check(scores(ours), removed.spread(theirs))


@each_model
def test_lime_is_captums_on_the_same_copies(zoo: Zoo, name: str) -> None:
    removed = Removed(zoo, name)
    masks = neighbours(removed.units, 64, np.random.default_rng(0))
    copies: Iterator[np.ndarray] = iter(masks)
    captum = LimeBase(
        lambda stays: removed.values(stays),
        SkLearnRidge(alpha=1.0),
        _similarity(0.25),
        lambda original, **_: torch.from_numpy(next(copies)).float()[None],
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda sample, original, **_: sample,
        to_interp_rep_transform=None,
    )
    theirs = captum.attribute(torch.ones(1, removed.units), n_samples=64)[0]
    check(scores(Lime(removed.predictor, num_samples=64, baseline="mask")), removed.spread(theirs))


def _similarity(width: float) -> Callable[..., Tensor]:
    def similarity(original: Tensor, perturbed: Tensor, sample: Tensor, **_: object) -> Tensor:
        return torch.from_numpy(proximity(sample.bool().numpy(), width))

    return similarity


@pytest.mark.parametrize("method", [LeaveOneOut, Lime, ShapleySampling])
def test_the_text_has_something_to_explain(zoo: Zoo, method: type[SaliencyInterpreter]) -> None:
    (explanation,) = method(zoo.predictor("bert")).interpret_json({"sentence": TEXT})
    assert max(map(abs, explanation.inputs[0].attributions)) > 1e-3
