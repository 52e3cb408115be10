"""Relevance, handed back from the target to the embeddings operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from allennlp.predictors import Predictor

from ... import checks
from ...errors import InterpretationError
from ...explanation import JsonDict
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import absorbed_more, saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Sum, reduce_coordinates
from ...rules.lrp_rules import LRP_RULES, LrpPass
from ...rules.rule_map import Rule, check_finite
from ...rules.rule_mode import RuleMode
from ...space.embedding_space import EmbeddingSpace


@SaliencyInterpreter.register("lrp")
class LayerwiseRelevancePropagation(SaliencyInterpreter):
    """score_t = Σ R over the embedding e_t, R(F) = F at the output.

    Achtibat et al. 2024, "AttnLRP", with the ε rule for linear layers. Which operation gets which
    rule stands in `interpret.rules.LRP_RULES`. The scores and what was absorbed on the way (by
    biases, softmax, nonlinearities, ε, and tokens that are themselves explained: `absorbed`) add up
    to F(x).

    Args:
        predictor: The predictor whose predictions are explained.
        epsilon: ε of the rule for linear layers, in units of their outputs.
        rules: Operations and what they get in the place of their rule: the name of another, or a
            function of a `Call` and an `LrpPass`; see `interpret.rules`. With `{"softmax":
            "constant"}` attention weights hand on nothing (Ali et al. 2022, "XAI for
            Transformers", section 4).
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If epsilon is no finite number, or negative, or there is no such
            operation or rule.
    """

    mixes_lengths = False

    def __init__(
        self,
        predictor: Predictor,
        epsilon: float = 1e-6,
        rules: Mapping[str, str | Rule] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.epsilon = checks.number("epsilon", epsilon, least=0)
        self.rules = LRP_RULES.described(rules)
        self._rules = LRP_RULES.functions(rules)

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        x = space.embeddings
        relevance = torch.zeros_like(x)
        totals = torch.zeros(len(x), dtype=torch.float64)
        details: list[JsonDict] = []
        warnings: list[list[str]] = []
        # One by one: what is absorbed is noted for the batch as a whole.
        for row, own in zip(torch.arange(len(x)).split(1), saturated(space), strict=True):
            passed = LrpPass(self.epsilon)
            with RuleMode(LRP_RULES.bound(passed, self._rules)) as mode:
                try:
                    leaf, values = space.leaf_and_values(x[row], row)
                except NotImplementedError as error:
                    raise InterpretationError(
                        f"LRP has no rule for this: {error}; name another for the operation "
                        "(`rules`, such as 'otherwise'), or use 'integrated-gradients'"
                    ) from error
            relevance[row] = x[row] * space.gradient(values, leaf)
            check_finite(relevance[row], self.rules)
            kept = reduce_coordinates(relevance[row], space.layout, Sum())[space.layout.held[row]]
            if len(kept):
                passed.absorbed["the explained tokens"] = float(kept.sum())
            absorbed, value = dict(sorted(passed.absorbed.items())), float(space.values[row])
            totals[row] = sum(absorbed.values())
            more = absorbed_more(value, absorbed, mode.unsupported_ops, space.unsaturated_target)
            unused = LRP_RULES.unused(self.rules, mode.called)
            warnings.append([*unused, *own, *([more] if more else [])])
            without = {"without_rule": sorted(mode.unsupported_ops)} if mode.unsupported_ops else {}
            details.append({"absorbed": absorbed, **without})
        return Attribution(
            reduce_coordinates(relevance, space.layout, Sum()),
            details=details,
            absorbed=totals,
            remedies=["use 'integrated-gradients'"] * len(x),
            warnings=warnings,
            zero_causes=["nothing reaches it through the rules (see 'absorbed')"] * len(x),
        )
