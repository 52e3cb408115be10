"""What a token contributes, by multipliers of differences instead of derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...errors import InterpretationError
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import lacks, lost_by
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Sum, reduce_coordinates
from ...rules.deeplift.passes import DEEPLIFT_RULES, every_expert, recording, replaying
from ...rules.rule_map import Rule, check_finite
from ...rules.watch import Losses, OtherPathError, Tape, Values
from ...space.embedding_space import EmbeddingSpace
from ..layer_methods import LayerBaselineMethod
from ..path.baseline_method import BaselineMethod


@SaliencyInterpreter.register("deeplift")
class DeepLift(BaselineMethod):
    """score_t = (e_t - e'_t) · m_t, m the multipliers of ΔF with respect to the embeddings.

    Shrikumar, Greenside and Kundaje 2017, "Learning Important Features Through Propagating
    Activation Differences", the rescale rule. Which operation gets which rule stands in
    `interpret.rules.DEEPLIFT_RULES`. Complete: the scores add up to F(x) - F(x').

    Operations without a rule keep their gradient; they are named under `without_rule`. What the
    model decides by its embeddings (which experts a token has, what is masked) is part of the
    difference, and is handed to what it was decided by; see `rules/steps.py`. Mixtures of
    experts compute every expert for every token. Where more than 5 % of the difference are missing,
    `lost` names the operations that lost it.

    Args:
        predictor: The predictor whose predictions are explained.
        segments: Into how many segments the straight path from the baseline is cut; each is
            attributed from its start to its end, and the scores are added up. 1 is DeepLIFT as it
            was published. More tend to integrated gradients and stay complete at any number: in
            deep models one step over the whole path says little of what lies between.
        rules: Operations and what they get in the place of their rule: the name of another, or a
            function of a `Call` and a `Reference`; see `interpret.rules`. They have to add up
            themselves for the scores to be complete.
        common: The baseline, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If the number of segments is no positive integer, or there is no such
            operation or rule.
    """

    complete: ClassVar[bool] = True
    mixes_lengths = False

    def __init__(
        self,
        predictor: Predictor,
        segments: int = 1,
        rules: Mapping[str, str | Rule] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.segments = checks.integer("segments", segments, least=1)
        self.rules = DEEPLIFT_RULES.described(rules)
        self._rules = DEEPLIFT_RULES.functions(rules)

    @property
    def n_evaluations(self) -> int:
        return 2 * self.segments

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        x = space.embeddings
        total = torch.zeros_like(x)
        unsupported_ops: set[str] = set()
        called: set[str] = set()
        baseline_values = torch.zeros(len(x), dtype=torch.float64)
        rows = torch.arange(len(x))
        with every_expert(space.model):
            for number in range(self.segments):
                passes = self._segment(space, baseline, number)
                for found in passes:
                    some = found.rows
                    total[some] += (passes.end[some] - passes.start[some]) * found.multipliers
                    unsupported_ops |= found.unsupported_ops
                    called |= found.called
                    if number == 0:
                        baseline_values[some] = found.start_values
            if space.mixes_rows:
                baseline_values = space.evaluate(baseline, rows)
            check_finite(total, self.rules, ", or name another baseline")
            scores = reduce_coordinates(total, space.layout, Sum())
            change = space.values.double().cpu() - baseline_values
            delta = change - scores.double().sum(1).cpu()
            first = self._segment(space, baseline, 0)
            lost = [
                first.lost(row) if lacks(float(delta[row]), float(change[row])) else {}
                for row in rows
            ]
        named = {"without_rule": sorted(unsupported_ops)} if unsupported_ops else {}
        details = [{**named, **({"lost": one} if one else {})} for one in lost]
        remedies = [lost_by(one, unsupported_ops) for one in lost]
        warnings = [[*DEEPLIFT_RULES.unused(self.rules, called), *self.zero_warning(space)]] * len(
            x
        )
        return Attribution(scores, baseline_values, details, remedies=remedies, warnings=warnings)

    def _segment(self, space: EmbeddingSpace, baseline: Tensor, number: int) -> _Passes:
        """The passes of a segment of the straight paths."""
        first, last = number / self.segments, (number + 1) / self.segments
        start, end = (torch.lerp(baseline, space.embeddings, at) for at in (first, last))
        return _Passes(space, self._rules, start, end)


@dataclass(frozen=True)
class _Passes:
    """Pairs of passes under rules: operations are noted for the start of each instance's segment
    and have multipliers for its end, `(instances, size)` both."""

    space: EmbeddingSpace
    rules: Mapping[str, Rule]
    start: Tensor
    end: Tensor

    def __iter__(self) -> Iterator[_Found]:
        """Batch by batch; row by row where some would get what is others'."""
        for chunk in self.space.batches(torch.arange(len(self.end))):
            found: list[_Found] = []
            with chunk.guard():
                found = [self.of(chunk.rows)]
                if found[0].tape.mixes_rows and len(chunk.rows) > 1:
                    found = [self.of(row) for row in chunk.rows.split(1)]
            yield from found

    def of(self, rows: Tensor, noted: Values | None = None, losses: Losses | None = None) -> _Found:
        """The passes of some rows."""
        tape, space = Tape(), self.space
        try:
            with recording(tape, noted, self.rules):
                _, values = space.leaf_and_values(self.start[rows], rows)
            start_values = values.detach().double().cpu()
            with replaying(tape, losses, self.rules) as mode:
                leaf, values = space.leaf_and_values(self.end[rows], rows)
            tape.close()
        except (OtherPathError, NotImplementedError) as error:
            raise InterpretationError(f"DeepLIFT has no rule for this: {error}") from error
        multipliers = space.gradient(values, leaf)
        return _Found(rows, multipliers, start_values, mode.unsupported_ops, mode.called, tape)

    def lost(self, row: Tensor) -> dict[str, float]:
        """Which operations lost what for a row, the three that lost most.

        Raises:
            InterpretationError: If the model read other numbers off its tensors than for the
                baseline, of which no rule can know what became.
        """
        noted = Values()
        losses = Losses(noted)
        found = self.of(row[None], noted, losses)
        if found.tape.read_otherwise:
            read = ", ".join(sorted(found.tape.read_otherwise))
            raise InterpretationError(
                f"DeepLIFT is not complete for {type(self.space.model).__name__}: its forward "
                f"reads numbers off tensors that depend on the text ({read}), other ones for the "
                "baseline, and what it does with them is out of sight; use 'integrated-gradients'"
            )
        return losses.largest(3)


@dataclass(frozen=True)
class _Found:
    """What the two passes of some rows give: the multipliers, `(rows, size)`, the target where
    they start, the operations without a rule, those that were called, and what was noted of the
    first pass."""

    rows: Tensor
    multipliers: Tensor
    start_values: Tensor
    unsupported_ops: set[str]
    called: set[str]
    tape: Tape


@SaliencyInterpreter.register("layer-deeplift")
class LayerDeepLift(LayerBaselineMethod, DeepLift):
    """DeepLIFT from a layer's outputs for the baseline to those for the input; complete."""
