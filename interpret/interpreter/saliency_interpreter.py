"""The base class of all interpreters: JSON in, explanations out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import allennlp.interpret.saliency_interpreters as allennlp_interpreters
import torch
from allennlp.common import Registrable
from allennlp.common.util import JsonDict
from allennlp.data import Instance
from allennlp.predictors import Predictor
from tqdm import tqdm

from .. import checks
from ..contracts import Expected, HasDefaultTarget
from ..errors import InterpretationError
from ..explanation import Explanation
from ..inputs.texts import text_items
from ..model.embedding_layers import find_embedding_layers
from ..model.model_checks import RANDOM_WARNING
from ..model.prediction_cache import PredictionCache
from ..model.twin import Twin, name_of
from ..reduction import Aggregation, Normalization
from ..registry import construct, describe
from ..space.embedding_space import EmbeddingSpace
from ..space.packing import TokenBudget, let_go
from ..space.prefix.prefix_space import group_by_text, space_of
from ..space.session import Session
from ..target.prediction_check import Mismatch, expected_outputs
from ..target.row_loss import RowLoss, RowLossError
from ..target.targets import Target
from .assembly import Attribution, assemble
from .batch_sharing import BatchSharing, Job
from .labelling import Labelled, LabelledInstance, label_instances, label_json
from .predictor_labels import PredictionLabels, labels_of
from .to_words import texts_of, to_words
from .windows import WindowedInstance


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


class SaliencyInterpreter(allennlp_interpreters.SaliencyInterpreter):
    """Gives every token of a predictor's input a score.

    A method derives from this class, registers under a name and implements `attribute`.

    Args:
        predictor: The predictor whose predictions are explained. It is never changed.
        target: The number to explain: an object, a registered name, a params dict
            (`{"type": "logit", "label": "negative"}`) or a function of `ModelOutputs`. None for
            the predictor's `default_target`, where it names one, else "log-likelihood".
        aggregation: How the scores of a token's wordpieces become one: "sum" or "mean".
        normalization: What `saliency_interpret_from_json` makes of the scores of an input:
            "l1-abs" (AllenNLP's contract), "l1", "max-abs" or "none".
        token_budget: Padded tokens that go through the model at once; None for what suits the
            device. It is halved when memory runs out.
        granularity: What has a score: "token", as the tokenizer made them, or "word", whose tokens'
            scores are added up.

    Raises:
        ConfigurationError: If a parameter names nothing that there is, or has the wrong type.
    """

    complete: ClassVar[bool] = False
    """Whether the attributions add up to what the target differs from its value at a baseline."""

    mixes_lengths: ClassVar[bool] = True
    """Whether instances of different lengths may share a batch. Padding changes no value and no
    gradient, but it may change what a method with its own backward rules computes."""

    def __init__(
        self,
        predictor: Predictor,
        target: Target | str | dict[str, Any] | Callable[..., Any] | None = None,
        aggregation: Aggregation | str | dict[str, Any] = "sum",
        normalization: Normalization | str | dict[str, Any] = "l1-abs",
        token_budget: int | None = None,
        granularity: str = "token",
    ) -> None:
        super().__init__(predictor)
        if target is None:
            target = Target.default_implementation
            if isinstance(predictor, HasDefaultTarget):
                target = predictor.default_target
        self.target = construct(Target, target)
        self.aggregation = construct(Aggregation, aggregation)
        self.normalization = construct(Normalization, normalization)
        self.token_budget = checks.optional_integer("token_budget", token_budget, least=1)
        self.granularity = checks.choice("granularity", granularity, ("token", "word"))
        self._sharing = BatchSharing()
        self._checked: set[int] = set()

    @property
    def n_evaluations(self) -> int:
        """About how many points the method evaluates per instance; it decides how instances are
        packed into batches and does not change the scores."""
        return 1

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        """Scores the positions of every instance in a space.

        Args:
            space: Instances of about the same length, and the model as a function of their
                embeddings.

        Returns:
            The scores, `(instances, positions)`, and further details.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement attribute()")

    def saliency_interpret_from_json(self, inputs: JsonDict) -> JsonDict:
        """AllenNLP's contract: normalised scores per labelled instance and input.

        Args:
            inputs: What the predictor's `predict_json` takes.

        Returns:
            `{"instance_1": {"grad_input_1": [0.03, 0.91, 0.06]}}`: inputs are counted from the
            last-embedded field.

        Raises:
            InterpretationError: If the input cannot be explained.
        """
        explanations = self.interpret_json(inputs)
        return {
            f"instance_{number}": self.grad_inputs(explanation)
            for number, explanation in enumerate(explanations, start=1)
        }

    def grad_inputs(self, explanation: Explanation) -> dict[str, list[float]]:
        """The normalised scores of an explanation, by AllenNLP's names for its inputs."""
        return {
            attribution.grad_input: self.normalization(attribution.attributions)
            for attribution in explanation.inputs
        }

    def interpret_json(self, inputs: JsonDict) -> list[Explanation]:
        """Explains the model's predictions for one input.

        Args:
            inputs: What the predictor's `predict_json` takes.

        Returns:
            One explanation per labelled instance: signed scores, with tokens.

        Raises:
            InterpretationError: If the input cannot be explained.
        """
        return self.interpret_batch_json([inputs])[0]

    def interpret_batch_json(self, inputs: Sequence[JsonDict]) -> list[list[Explanation]]:
        """Explains many inputs; instances of different inputs share batches.

        Args:
            inputs: A list of what the predictor's `predict_json` takes.

        Returns:
            Per input, in order, what `interpret_json` gives for it.

        Raises:
            InterpretationError: If one of them cannot be explained.
        """
        interpretations = self.interpret_each(inputs)
        for interpretation in interpretations:
            if interpretation.error is not None:
                raise interpretation.error
        return [interpretation.explanations for interpretation in interpretations]

    def interpret_each(
        self, inputs: Sequence[JsonDict], predict: bool = False, progress: bool | None = None
    ) -> list[Interpretation]:
        """Explains many inputs, each with its own success or failure.

        Args:
            inputs: A list of what the predictor's `predict_json` takes.
            predict: Whether the predictions are wanted too; mostly they cost nothing more.
            progress: Whether to show a progress bar; None shows it on a terminal if it takes long.

        Returns:
            One per input, in order.
        """
        return self._interpreted(label_json, inputs, predict, progress)

    def interpret_each_instance(
        self, instances: Sequence[Instance], predict: bool = False, progress: bool | None = None
    ) -> list[Interpretation]:
        """As `interpret_each`, for a dataset reader's instances; they are left as they are."""
        return self._interpreted(label_instances, instances, predict, progress)

    def check_settings(self) -> None:
        """Makes sure that the settings fit the model, as far as that is known without an input.

        Raises:
            SettingError: If one does not.
        """
        self.target.check(self.predictor._model)

    def config(self) -> JsonDict:
        """The interpreter's name and parameters, as they would stand in a config."""
        told_elsewhere = {"predictor", "target", "token_budget"}
        if self.granularity == "token":
            told_elsewhere.add("granularity")
        base = allennlp_interpreters.SaliencyInterpreter
        return describe(self, base, frozenset(told_elsewhere))

    def _interpreted(
        self,
        label: Callable[..., list[Labelled]],
        inputs: Sequence[Any],
        predict: bool,
        progress: bool | None,
    ) -> list[Interpretation]:
        with _differentiating():
            twin = Twin(self.predictor, self._checked)
            labels = _labels(twin)
            session = self._session(twin, len(inputs))
            with _cached(session):
                labelled = label(twin.predictor, inputs, predict, labels)
            return self._interpret(session, labelled, progress)

    def _session(self, twin: Twin, inputs: int) -> Session:
        budget = self._token_budget(twin)
        cache = None
        if inputs == 1:  # It is faster to run several again in one batch.
            # An error is raised again once the input is labelled.
            with suppress(InterpretationError):
                layers = find_embedding_layers(twin)
                if layers.backbone is not None:
                    cache = PredictionCache(layers, layers.backbone, budget.tokens)
        return Session(twin, self.target, budget, cache)

    def _interpret(
        self, session: Session, labelled: Sequence[Labelled], progress: bool | None
    ) -> list[Interpretation]:
        twin = session.twin
        errors: dict[int, Exception] = {
            owner: one.error for owner, one in enumerate(labelled) if one.error is not None
        }
        work: list[tuple[int, WindowedInstance]] = []
        pairs: list[tuple[Instance, Expected | None]] = []
        for owner, one in enumerate(labelled):
            try:
                prepared = [
                    (whole, self._expected(twin, whole, found))
                    for found in one.instances
                    for whole in self._prepared(twin, found.instance)
                ]
            except Exception as error:
                errors[owner] = error
                continue
            for whole, expected in prepared:
                work.append((owner, whole))
                pairs += [(instance, expected) for instance in whole.instances]
        done = iter(self._explain_all(session, pairs, progress))
        explanations: dict[int, list[Explanation]] = {}
        for owner, whole in work:
            results = [next(done) for _ in whole.instances]
            try:
                explanation = self._explanation(whole, results, labelled[owner].details)
                explanations.setdefault(owner, []).append(explanation)
            except Exception as error:
                errors.setdefault(owner, error)
        return [
            Interpretation(one.prediction, [], errors[owner])
            if owner in errors
            else Interpretation(one.prediction, explanations.get(owner, []))
            for owner, one in enumerate(labelled)
        ]

    def _prepared(self, twin: Twin, instance: Instance) -> list[WindowedInstance]:
        wanted = self.target.instances(instance, twin.model)
        prepared = [WindowedInstance.of(one, twin.model) for one in wanted]
        for whole in prepared:
            for one in whole.instances:
                one.index_fields(twin.model.vocab)
        return prepared

    def _expected(
        self, twin: Twin, whole: WindowedInstance, found: LabelledInstance
    ) -> Expected | None:
        """What the model must return for an instance; None for the windows of one."""
        if whole.cut is not None or not found.outputs:
            return None
        if found.labels is not None:
            return found.labels.expected(twin.model, whole.instance, found.outputs)
        return expected_outputs(twin.model, whole.instance, found.outputs)

    def _explanation(
        self, whole: WindowedInstance, results: Sequence[Explanation | Exception], details: JsonDict
    ) -> Explanation:
        explanation = whole.explanation(results)
        if details:
            explanation = replace(explanation, details={**details, **explanation.details})
        if self.granularity == "token":
            return explanation
        return to_words(explanation, texts_of(whole.instance))

    def _explain_all(
        self,
        session: Session,
        pairs: Sequence[tuple[Instance, Expected | None]],
        progress: bool | None,
    ) -> list[Explanation | Exception]:
        budget = session.budget
        instances = [instance for instance, _ in pairs]
        units = self._forward_groups(session.twin, instances)
        lengths = [max(_length(instances[i]) for i in members) for members in units]
        shapes = None if self.mixes_lengths else [str(i.get_padding_lengths()) for i in instances]
        packed = budget.groups(lengths, self.n_evaluations, shapes)
        results: list[Explanation | Exception] = [InterpretationError()] * len(instances)
        groups = [[(i, lengths[unit]) for unit in group for i in units[unit]] for group in packed]
        for group in _with_progress(groups, progress):
            jobs = [Job(*pairs[number], length) for number, length in group]
            explained = self._explain_group(session, jobs)
            for (number, _), result in zip(group, explained, strict=True):
                results[number] = result
        self._sharing.single |= budget.single
        return results

    def _token_budget(self, twin: Twin) -> TokenBudget:
        budget = TokenBudget.default(twin.device)
        tokens = budget.tokens if self.token_budget is None else self.token_budget
        return TokenBudget(tokens, self._sharing.single)

    def _forward_groups(self, twin: Twin, instances: Sequence[Instance]) -> list[list[int]]:
        """The instances that may share a forward pass, as groups of their numbers."""
        if not self.mixes_lengths:
            return [[number] for number in range(len(instances))]
        return group_by_text(twin.model, instances)

    def _explain_group(
        self, session: Session, jobs: Sequence[Job]
    ) -> list[Explanation | Exception]:
        """Explains instances in one batch as far as the model allows; where that fails, one by
        one."""
        groups = self._sharing.groups(jobs)
        if len(groups) > 1:
            return self._explain_apart(session, jobs, groups)
        try:
            return list(self._explain(session, jobs))
        except Mismatch as mismatch:
            if len(jobs) == 1:
                return [mismatch.error(name_of(session.twin.model))]
            # Find out whether the batch is the cause: explain the instance alone.
            alone = self._explain_group(session, [jobs[mismatch.row]])[0]
            if not isinstance(alone, Exception):
                self._sharing.refuse(jobs)
                return self._explain_group(session, jobs)
        except Exception as error:
            let_go(error)
            if len(jobs) == 1:
                return [error]
        return self._explain_apart(session, jobs, [[n] for n in range(len(jobs))])

    def _explain_apart(
        self, session: Session, jobs: Sequence[Job], groups: Sequence[Sequence[int]]
    ) -> list[Explanation | Exception]:
        results: dict[int, Explanation | Exception] = {}
        for group in groups:
            explained = self._explain_group(session, [jobs[number] for number in group])
            results.update(zip(group, explained, strict=True))
        return [results[number] for number in range(len(jobs))]

    def _explain(self, session: Session, jobs: Sequence[Job]) -> Sequence[Explanation]:
        make = partial(self.space, session, [job.instance for job in jobs])
        space = make(RowLoss())
        space.check_predicted([job.expected for job in jobs])
        space.check_alone(_unpredicted_and_padded(jobs))
        if not space.loss_reduction_unknown:
            try:
                return self._explanations(space)
            except RowLossError:
                pass
        # This raises an error where the instances cannot share a batch; then each is run alone.
        return self._explanations(make(RowLoss(space.loss_reduction())))

    def space(
        self, session: Session, instances: Sequence[Instance], row_loss: RowLoss
    ) -> EmbeddingSpace:
        """The space that `attribute` is given: its coordinates are the input embeddings, unless a
        method overrides this."""
        return space_of(session, instances, row_loss)

    def _explanations(self, space: EmbeddingSpace) -> list[Explanation]:
        attribution = self.attribute(space)
        space.verify_row_losses()
        explanations = assemble(
            space, attribution, self.config(), self._target_config(), self.aggregation
        )
        if not space.random:
            return explanations
        return [replace(one, warnings=[*one.warnings, RANDOM_WARNING]) for one in explanations]

    def _target_config(self) -> JsonDict:
        return describe(self.target, Target, frozenset({"label"}))


# One registry for AllenNLP's interpreters and ours: from_params on either class finds both.
Registrable._registry[SaliencyInterpreter] = Registrable._registry[
    allennlp_interpreters.SaliencyInterpreter
]


def _differentiating() -> AbstractContextManager[Any]:
    """Gradients, also where the caller has switched them off (`no_grad`, `inference_mode`)."""
    return torch.inference_mode(False)


def _labels(twin: Twin) -> PredictionLabels | None:
    """The labels registered for a twin's predictor, attached to its model; None if none are."""
    labels = labels_of(twin.predictor)
    if labels is not None:
        labels.attach(twin.model)
    return labels


@contextmanager
def _cached(session: Session) -> Iterator[None]:
    """Fills a session's cache while its inputs are predicted."""
    twin, cache = session.twin, session.cache
    if cache is None:
        yield
        return
    watching = twin.gradient_paths.watching(ends=False)
    with watching, twin.random_passes.watching(), cache.listening():
        yield


def _unpredicted_and_padded(jobs: Sequence[Job]) -> list[int]:
    """The number of the job with the most padding among those without a prediction; empty where
    there is no padding."""
    longest = max(job.length for job in jobs)
    padded = [n for n, job in enumerate(jobs) if not job.expected and job.length < longest]
    return sorted(padded, key=lambda n: jobs[n].length)[:1]


def _length(instance: Instance) -> int:
    """Padded positions that an instance's text fields take."""
    total = 0
    for name, lengths in instance.get_padding_lengths().items():
        if text_items(instance.fields[name]):
            total += max((lengths[key] for key in lengths if _counts_tokens(key)), default=0)
    return total


def _counts_tokens(padding_key: str) -> bool:
    return not padding_key.endswith("num_token_characters")


def _with_progress(
    groups: list[list[tuple[int, int]]], progress: bool | None
) -> Iterable[list[tuple[int, int]]]:
    hidden = None if progress is None else not progress
    bar = tqdm(total=sum(map(len, groups)), unit="instance", delay=2, disable=hidden, leave=False)
    with bar:
        for group in groups:
            yield group
            bar.update(len(group))
