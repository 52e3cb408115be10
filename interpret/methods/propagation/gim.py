"""The difference from a baseline times a gradient that respects interactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...errors import InterpretationError
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Sum, reduce_coordinates
from ...rules.gim_rules import GIM_RULES, GimPass
from ...rules.rule_map import Rule, check_finite
from ...rules.rule_mode import RuleMode
from ...space.embedding_space import EmbeddingSpace
from ..path.baseline_method import BaselineMethod


@SaliencyInterpreter.register("gim")
class GradientInteractionModifications(BaselineMethod):
    """score_t = (e_t - e'_t) · ĝ_t, ĝ the gradient ∇F(x) under GIM's rules.

    Edin et al. 2025, "GIM: Improved Interpretability for Large Language Models". On the way back
    the softmax has a temperature of 2, a norm's statistics are constants, and a product's factors
    share its gradient. Attention shares its effect among tokens that would each have been enough;
    plain gradients see none of them there (self-repair). One forward and one backward pass.

    Args:
        predictor: The predictor whose predictions are explained.
        temperature: T of the softmax on the way back; 1 leaves it as it is.
        rules: Operations and what they get in the place of their rule: the name of another, or a
            function of a `Call` and a `GimPass`; see `interpret.rules`.
        common: The baseline, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If the temperature is no positive number, or there is no such operation
            or rule.
    """

    mixes_lengths = False

    def __init__(
        self,
        predictor: Predictor,
        temperature: float = 2.0,
        rules: Mapping[str, str | Rule] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.temperature = checks.number("temperature", temperature, above=0)
        self.rules = GIM_RULES.described(rules)
        self._rules = GIM_RULES.functions(rules)

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        x = space.embeddings
        products = torch.zeros_like(x)
        unused: list[str] = []
        for chunk in space.batches(torch.arange(len(x))):
            with chunk.guard():
                rows = chunk.rows
                rules = GIM_RULES.bound(GimPass(self.temperature), self._rules)
                with RuleMode(rules) as mode:
                    try:
                        leaf, values = space.leaf_and_values(x[rows], rows)
                    except NotImplementedError as error:
                        raise InterpretationError(f"GIM has no rule for this: {error}") from error
                products[rows] = (x[rows] - baseline[rows]) * space.gradient(values, leaf)
                unused = GIM_RULES.unused(self.rules, mode.called)
        if self.temperature != 1 and not products.isfinite().all():
            self._check_temperature(space)
        check_finite(products, self.rules, ", or name another baseline")
        scores = reduce_coordinates(products, space.layout, Sum())
        return Attribution(scores, warnings=[[*unused, *own] for own in saturated(space)])

    def _check_temperature(self, space: EmbeddingSpace) -> None:
        """Raises an error where the plain gradient is finite, which has a temperature of 1."""
        if self.rules is None and space.input_gradients.isfinite().all():
            raise InterpretationError(
                f"with temperature={self.temperature:g} GIM's gradients are not finite, and the "
                "model's own are; name another temperature (2 unless told)"
            )
