"""How far an explanation moves where the input hardly does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from allennlp.data import Instance
from torch import Tensor

from .. import checks
from ..errors import InterpretationError
from ..explanation import JsonDict
from ..interpreter.assembly import Attribution
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..reduction import drop_padding
from ..space.embedding_space import EmbeddingSpace
from ..space.noise import Noise, value_range
from ..space.session import Session
from ..space.variants.moved_space import moved
from ..target.row_loss import RowLoss
from .metric import MethodMetric, Metric

_ROWS = 64


@Metric.register("max-sensitivity")
class MaxSensitivity(MethodMetric):
    """max_δ ‖Φ(x + δ) - Φ(x)‖ / ‖Φ(x)‖, |δ| ≤ r in every coordinate of the embeddings.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", definition 3, by Monte
    Carlo samples of δ, as in their section 5; the share of ‖Φ(x)‖ is captum's `sensitivity_max`.

    Args:
        radius: r as a share of the range of the input's values, max(x) - min(x).
        num_samples: How many δ are drawn, uniformly.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    higher_is_better = False

    def __init__(self, radius: float = 0.02, num_samples: int = 10) -> None:
        self.radius = checks.number("radius", radius, above=0)
        self.num_samples = checks.integer("num_samples", num_samples, least=1)

    def of_method(
        self, method: SaliencyInterpreter, inputs: Sequence[JsonDict], seed: int = 0
    ) -> list[list[float] | Exception]:
        """See `MethodMetric`; NaN where Φ(x) is zero, or the method says nothing of embeddings
        that are no text's own (`bound_to_text`)."""
        found: list[list[float] | Exception] = []
        measuring = _Moving(method, self, checks.seed("seed", seed))
        for one in measuring.interpret_each(inputs, progress=False):
            if one.error is not None:
                found.append(one.error)
            elif any((own.overlong or {}).get("policy") == "window" for own in one.explanations):
                found.append(
                    InterpretationError(
                        "metrics need one text that the model reads at once, and this one was "
                        "explained in windows; cut it ('overlong': 'truncate')"
                    )
                )
            else:
                found.append([own.details["sensitivity"] for own in one.explanations])
        return found


class _Moving(SaliencyInterpreter):
    """Explains inputs by a method, and the same inputs moved a little."""

    def __init__(self, method: SaliencyInterpreter, metric: MaxSensitivity, seed: int) -> None:
        super().__init__(method.predictor, method.target, token_budget=method.token_budget)
        self._method, self._metric, self._seed = method, metric, seed
        self.mixes_lengths = method.mixes_lengths
        self.shares_prefixes = method.shares_prefixes

    @property
    def n_evaluations(self) -> int:
        return (self._metric.num_samples + 1) * self._method.n_evaluations

    def config(self) -> JsonDict:
        return {"type": "max-sensitivity"}

    def space(
        self, session: Session, instances: Sequence[Instance], row_loss: RowLoss
    ) -> EmbeddingSpace:
        return self._method.space(session, instances, row_loss)

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        tokens = space.layout.tokens
        if self._method.bound_to_text is not None:
            found = torch.full((len(tokens),), torch.nan)
        else:
            found = self._largest(space)
        return Attribution(
            torch.zeros(tokens.shape), details=[{"sensitivity": one} for one in found.tolist()]
        )

    def _largest(self, space: EmbeddingSpace) -> Tensor:
        """The largest relative change of each instance's scores, `(instances,)`."""
        first = space.at_input_embeddings()
        x = first.embeddings
        width = self._metric.radius * value_range(first)
        samples = torch.arange(self._metric.num_samples)
        shifts = Noise(first, len(samples), self._seed, width, _uniform)
        own = self._scores(space, 1)[0]
        found = [
            self._scores(moved(space, x + shifts.copies(some)), len(some))
            for some in samples.split(max(_ROWS // len(x), 1))
        ]
        changes = (torch.cat(found) - own).norm(dim=-1).amax(0)
        # 0 / 0 is NaN; what becomes of a score of nothing is no share of it.
        norms = own.norm(dim=-1)
        return torch.where(norms > 0, changes / norms, torch.nan)

    def _scores(self, space: EmbeddingSpace, copies: int) -> Tensor:
        """The method's scores, `(copies, instances, positions)`."""
        scores = self._method.attribute(space).scores.detach().double().cpu()
        return drop_padding(scores, space.layout.tokens).unflatten(0, (copies, -1))


def _uniform(*shape: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(*shape, generator=generator) - 1
