"""One call of an interpreter: inputs are labelled, packed into batches and explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import torch
from allennlp.common.util import JsonDict
from allennlp.data import Instance
from allennlp.predictors import Predictor
from tqdm import tqdm

from ..contracts import Expected, ExplainedInstance, ReadsWindows, Windows
from ..errors import InterpretationError
from ..explanation import Explanation
from ..inputs.given_units import GivenUnits, take_units, without_units
from ..inputs.origin import Origin
from ..inputs.texts import padded_positions
from ..model.embedding_layers import find_embedding_layers
from ..model.hooks import Expecting, before_each_pass
from ..model.prediction_cache import PredictionCache
from ..model.twin import Twin, name_of
from ..reduction import Aggregation
from ..registry import describe
from ..space.embedding_space import EmbeddingSpace
from ..space.packing import TokenBudget
from ..space.prefix.prefix_space import group_by_text
from ..space.session import Session
from ..target.prediction_check import Mismatch
from ..target.row_loss import RowLoss, RowLossError
from ..target.targets import RefusesInputs, Target
from .assembly import Attribution, assemble
from .batch_sharing import BatchSharing, Job, shared_kinds
from .labels.labelling import Labelled, LabelledInstance, reading
from .labels.predictor_labels import labels_of
from .to_words import to_given_units, to_segments
from .windows import merge_windows
from .written_texts import with_texts_behind


@dataclass(frozen=True)
class Interpretation:
    """What came of one input.

    Attributes:
        prediction: What the predictor's `predict_json` returns for it, None if not asked for.
        explanations: One per labelled instance; empty if the model predicted nothing that can
            be explained (a tagger that found no entity).
        error: Why there are no explanations, None if all went well.
    """

    prediction: JsonDict | None = None
    explanations: list[Explanation] = field(default_factory=list)
    error: Exception | None = None


Progress = bool | Callable[[int, int], None] | None
"""Whether to show a progress bar; None shows it on a terminal if it takes long. Or a function that
is told in its place how many instances are explained, and of how many."""


class Method(Protocol):
    """What a run asks of an interpreter; its base class has the documentation."""

    predictor: Predictor
    target: Target
    aggregation: Aggregation
    token_budget: int | None
    granularity: str
    mixes_lengths: bool
    shares_prefixes: bool

    @property
    def n_evaluations(self) -> int: ...

    def space(
        self, session: Session, instances: Sequence[Instance], row_loss: RowLoss
    ) -> EmbeddingSpace: ...

    def attribute(self, space: EmbeddingSpace) -> Attribution: ...

    def config(self) -> JsonDict: ...


@dataclass(frozen=True)
class Prepared:
    """A labelled instance, the instances that are explained in its place, and what the model must
    return for each of these.

    Attributes:
        origin: The input that it comes from.
        instance: The labelled instance.
        windows: Its windows, where it is too long for the model.
        parts: The instances to explain: itself, or its windows.
        expected: What the model must return for each; None where that is not known.
    """

    origin: Origin
    instance: Instance
    windows: Windows | None
    parts: list[Instance]
    expected: Expected | None


Result = tuple[Prepared, list[Explanation | Exception]]  # What came of each of its parts.


class Run:
    """One call of an interpreter.

    Args:
        method: The interpreter.
        sharing: What is known about batches of its model; it is extended.
        checked: The models that earlier runs have checked; see `GradientPaths`.
        inputs: How many inputs there are.

    Raises:
        InterpretationError: If the model cannot be copied.
    """

    # Gradients, also where the caller has switched them off (`no_grad`, `inference_mode`).
    @torch.inference_mode(False)
    def __init__(
        self, method: Method, sharing: BatchSharing, checked: set[int], inputs: int
    ) -> None:
        self._method = method
        self._sharing = sharing
        self._twin = twin = Twin(method.predictor, checked)
        self._labels = labels_of(twin.predictor)
        if self._labels is not None:
            self._labels.attach(twin.model)
        tokens = method.token_budget or TokenBudget.default(twin.device).tokens
        budget = TokenBudget(tokens, sharing.single)
        cache = None
        if inputs == 1:  # It is faster to run several again in one batch.
            # An error is raised again once the input is labelled.
            with suppress(InterpretationError):
                layers = find_embedding_layers(twin)
                if layers.backbone is not None:
                    cache = PredictionCache(layers, layers.backbone, tokens)
        self._session = Session(twin, method.target, budget, cache)
        self._watch: Callable[[], None] | None = None

    def watched(self, watch: Callable[[], None]) -> AbstractContextManager[None]:
        """Calls a function before each forward pass; what it raises ends the run, unless it is an
        `Exception`, which is an input's error."""
        self._watch = watch
        return before_each_pass(self._twin.model, watch)

    @torch.inference_mode(False)
    def interpretations(
        self,
        label: Callable[..., list[Labelled]],
        inputs: Sequence[Any],
        predict: bool,
        progress: Progress,
    ) -> list[Interpretation]:
        """Explains inputs, each with its own success or failure.

        Args:
            label: `label_json` or `label_instances`.
            inputs: What it takes.
            predict: Whether the predictions are wanted too.
            progress: How to show how far it is; see `Progress`.
        """
        twin, cache = self._twin, self._session.cache
        with ExitStack() as watching:
            if cache is not None:
                watching.enter_context(twin.gradient_paths.watching(ends=False))
                watching.enter_context(twin.random_passes.watching())
                watching.enter_context(cache.listening())
            labelled = label(twin.predictor, [*map(without_units, inputs)], predict, self._labels)
        errors: dict[int, Exception] = {}
        prepared: list[Prepared] = []
        for owner, one in enumerate(labelled):
            try:
                if one.error is not None:
                    raise one.error
                prepared += self._prepared(owner, one.instances, *take_units(inputs[owner]))
            except Exception as error:
                errors[owner] = error
        origins = {id(part): whole.origin for whole in prepared for part in whole.parts}
        self._session = replace(self._session, origins=origins)
        done = iter(self.explained(prepared, progress))
        results: dict[int, list[Result]] = {}
        for whole in prepared:
            parts = [next(done) for _ in whole.parts]
            results.setdefault(whole.origin.owner, []).append((whole, parts))
        found = []
        for owner, one in enumerate(labelled):
            try:
                if owner in errors:
                    raise errors[owner]
                found.append(self._interpretation(one, results.get(owner, [])))
            except Exception as error:
                found.append(Interpretation(one.prediction, [], error))
        self._explain_alone(found, labelled, inputs, predict, progress)
        return found

    def _interpretation(self, labelled: Labelled, results: Sequence[Result]) -> Interpretation:
        """What came of one input; the first error among its results is raised."""
        details = labelled.details
        pairs: Sequence[ExplainedInstance]
        pairs = [(whole.instance, self._merged(whole, own, details)) for whole, own in results]
        if pairs and labelled.combine is not None:
            pairs = labelled.combine(pairs)
        explanations = [self._grouped(*pair, results[-1][0].origin) for pair in pairs]
        return Interpretation(labelled.prediction, explanations)

    def _explain_alone(
        self,
        found: list[Interpretation],
        labelled: Sequence[Labelled],
        inputs: Sequence[Any],
        predict: bool,
        progress: Progress,
    ) -> None:
        """Explains again, each alone, the inputs whose prediction may be wrong because others were
        read or predicted with them."""
        alone = {
            owner: one.again
            for owner, one in enumerate(labelled)
            if isinstance(getattr(found[owner].error, "__cause__", None), Mismatch)
            and one.again is not None
        }
        if alone:
            given = [inputs[owner] for owner in alone]
            shown = False if callable(progress) else progress  # It was told of all.
            others = self.interpretations(
                lambda *_: [predicted() for predicted in alone.values()], given, predict, shown
            )
            for owner, other in zip(alone, others, strict=True):
                found[owner] = other

    def _prepared(
        self, owner: int, labelled: Sequence[LabelledInstance], json: Any, units: GivenUnits
    ) -> list[Prepared]:
        prepared: list[Prepared] = []
        model, given = self._twin.model, json if isinstance(json, dict) else None
        read = partial(reading, self._twin.predictor, self._labels)
        target = self._method.target
        pairs = [(one, own) for one in labelled for own in target.instances(one.instance, model)]
        if isinstance(target, RefusesInputs):
            target.check_input([own for _, own in pairs], model)
        for found, instance in pairs:
            windows = model.windows_of(instance) if isinstance(model, ReadsWindows) else None
            parts = [instance] if windows is None else [one.instance for one in windows.windows]
            for part in parts:
                part.index_fields(model.vocab)
            expected = None
            if windows is None and found.outputs:
                expected = found.labels.expected(model, instance, found.outputs)
            origin = Origin(owner, len(prepared), given, read, units, whole=windows is None)
            prepared.append(Prepared(origin, instance, windows, parts, expected))
        return prepared

    def explained(
        self, prepared: Sequence[Prepared], progress: Progress
    ) -> list[Explanation | Exception]:
        """Explains all instances, batch by batch.

        Args:
            prepared: The instances, in the order of their inputs.
            progress: See `Progress`.

        Returns:
            For all parts of all instances, in order, what came of each.
        """
        method, budget = self._method, self._session.budget
        pairs = [(instance, whole.expected) for whole in prepared for instance in whole.parts]
        instances = [instance for instance, _ in pairs]
        # The instances that share a row, and the rows that share a batch.
        rows = [[number] for number in range(len(instances))]
        if len(instances) > 1 and method.mixes_lengths and method.shares_prefixes:
            rows = group_by_text(self._twin.model, instances)
        lengths = [max(padded_positions(instances[number]) for number in row) for row in rows]
        shapes = None
        if len(rows) > 1:
            shapes = shared_kinds(instances, rows, self._twin.model, method.mixes_lengths)
        results: dict[int, Explanation | Exception] = {}
        told = progress if callable(progress) else None
        hidden = None if progress is None else told is not None or not progress
        total = len(instances)
        groups = budget.groups(lengths, method.n_evaluations, shapes)
        if isinstance(self._watch, Expecting):
            self._watch.expect(budget.passes(groups, lengths, method.n_evaluations))
        with tqdm(total=total, unit="instance", delay=2, disable=hidden, leave=False) as bar:
            for batch in groups:
                numbers = [number for row in batch for number in rows[row]]
                jobs = [Job(*pairs[number], lengths[row]) for row in batch for number in rows[row]]
                explained = self._sharing.explain(jobs, self._explain)
                results.update(zip(numbers, explained, strict=True))
                bar.update(len(numbers))
                if told is not None:
                    told(len(results), total)
        self._sharing.single |= budget.single
        return [results[number] for number in range(len(instances))]

    def _explain(self, jobs: Sequence[Job]) -> list[Explanation]:
        """Explains instances in one batch."""
        make = partial(self._method.space, self._session, [job.instance for job in jobs])
        space = make(RowLoss())
        space.check_predicted([job.expected for job in jobs])
        if len(jobs) > 1:
            space.check_alone(self._sharing.check_alone(jobs))
        if not space.loss_reduction_unknown:
            with suppress(RowLossError):
                return self._explanations(space)
        # This raises an error where the instances cannot share a batch; then each is run alone.
        return self._explanations(make(RowLoss(space.loss_reduction())))

    def _explanations(self, space: EmbeddingSpace) -> list[Explanation]:
        method = self._method
        attribution = method.attribute(space)
        space.verify_row_losses()
        target = describe(method.target, Target, frozenset({"label"}))
        return assemble(space, attribution, method.config(), target, method.aggregation)

    def _merged(
        self, whole: Prepared, results: Sequence[Explanation | Exception], details: JsonDict
    ) -> Explanation:
        """The explanation of a complete instance; the first error among the results is raised."""
        found = []
        for one in results:
            if isinstance(one, Mismatch):
                raise one.error(name_of(self._twin.model)) from one
            if isinstance(one, Exception):
                raise one
            found.append(one)
        explanation = found[0]
        if whole.windows is not None:
            explanation = merge_windows(whole.instance, whole.windows, found)
        if details:
            explanation = replace(explanation, details={**details, **explanation.details})
        return explanation

    def _grouped(self, instance: Instance, explanation: Explanation, origin: Origin) -> Explanation:
        """An explanation by what is to have a score, with the texts as they were written."""
        level = self._method.granularity
        explanation = with_texts_behind(explanation, instance, origin.json)
        if origin.units:
            return to_given_units(explanation, instance, origin, level)
        if level == "token":
            return explanation
        texts = {one.field: one.text for one in explanation.inputs if one.text is not None}
        return to_segments(explanation, level, texts)
