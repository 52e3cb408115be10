"""The base class of all interpreters: JSON in, explanations out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import allennlp.interpret.saliency_interpreters as allennlp_interpreters
from allennlp.common import Registrable
from allennlp.common.util import JsonDict
from allennlp.data import Instance
from allennlp.predictors import Predictor

from .. import checks
from ..contracts import HasDefaultTarget
from ..explanation import Explanation
from ..explanations import ExplainedInputs, Explanations
from ..inputs.segments import LEVELS
from ..reduction import Aggregation, Normalization
from ..registry import construct, describe
from ..space.embedding_space import EmbeddingSpace
from ..space.prefix.prefix_space import space_of
from ..space.session import Session
from ..target.row_loss import RowLoss
from ..target.targets import Target
from .assembly import Attribution
from .batch_sharing import BatchSharing
from .given import check_predictor, given_input, given_inputs
from .labels.known_labels import KnownLabels
from .labels.labelling import label_instances, label_json
from .run import Interpretation, Progress, Run


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
        granularity: What has a score: "token", as the tokenizer made them, or "word", "sentence" or
            "paragraph", whose tokens' scores are added up.

    Raises:
        ConfigurationError: If a parameter names nothing that there is, or has the wrong type.
    """

    complete: ClassVar[bool] = False
    """Whether the attributions add up to what the target differs from its value at a baseline."""

    mixes_lengths: bool = True
    """Whether instances of different lengths may share a batch. Padding changes no value and no
    gradient, but it may change what a method with its own backward rules computes."""

    shares_prefixes: bool = True
    """Whether instances that are prefixes of one text may share a row."""

    def __init__(
        self,
        predictor: Predictor,
        target: Target | str | dict[str, Any] | Callable[..., Any] | None = None,
        aggregation: Aggregation | str | dict[str, Any] = "sum",
        normalization: Normalization | str | dict[str, Any] = "l1-abs",
        token_budget: int | None = None,
        granularity: str = "token",
    ) -> None:
        super().__init__(check_predictor(predictor, type(self).__name__))
        if target is None:
            target = Target.default_implementation
            if isinstance(predictor, HasDefaultTarget):
                target = predictor.default_target
        self.target = construct(Target, target)
        self.aggregation = construct(Aggregation, aggregation)
        self.normalization = construct(Normalization, normalization)
        self.token_budget = checks.optional_integer("token_budget", token_budget, least=1)
        self.granularity = checks.choice("granularity", granularity, ("token", *LEVELS[::-1]))
        self._sharing = BatchSharing()
        self._checked: set[int] = set()
        self._known: KnownLabels | None = None

    @property
    def n_evaluations(self) -> int:
        """About how many points the method evaluates per instance; it decides how instances are
        packed into batches and does not change the scores."""
        return 1

    @property
    def bound_to_text(self) -> str | None:
        """Why the method says nothing of embeddings that are no text's own, such as those with
        noise; None where it takes any."""
        return None

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        """Scores the positions of every instance in a space.

        Args:
            space: Instances of about the same length, and the model as a function of their
                embeddings.

        Returns:
            The scores, `(instances, positions)`, and further details.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement attribute()")

    def saliency_interpret_from_json(self, inputs: JsonDict | str) -> JsonDict:
        """AllenNLP's contract: normalised scores per labelled instance and input.

        Args:
            inputs: As for `interpret_json`.

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

    def interpret_json(self, inputs: JsonDict | str) -> Explanations:
        """Explains the model's predictions for one input.

        Args:
            inputs: What the predictor's `predict_json` takes; of a predictor that reads one text,
                the text alone will do.

        Returns:
            One explanation per labelled instance: signed scores, with tokens. A notebook shows the
            list as heat maps.

        Raises:
            InterpretationError: If the input cannot be explained.
        """
        if not isinstance(inputs, dict):
            inputs = given_input(self.predictor, inputs)
        return self._interpreted([inputs])[0]

    def interpret_batch_json(self, inputs: Iterable[JsonDict | str]) -> ExplainedInputs:
        """Explains many inputs; instances of different inputs share batches.

        Args:
            inputs: What `interpret_json` takes, several of it: a list, a generator, a data set of
                `datasets`, a table of pandas or polars.

        Returns:
            Per input, in order, what `interpret_json` gives for it.

        Raises:
            InterpretationError: If one of them cannot be explained.
        """
        return self._interpreted(list(given_inputs(self.predictor, inputs)))

    def interpret_stream(
        self, inputs: Iterable[JsonDict | str], at_once: int = 64
    ) -> Iterator[Explanations]:
        """Explains inputs as they come, and keeps none of them: for a generator of many.

        Args:
            inputs: As for `interpret_batch_json`.
            at_once: How many are read, and may share batches, before the first is returned.

        Raises:
            ConfigurationError: If `at_once` is no positive number.
            InterpretationError: If one of them cannot be explained, once it is reached.
        """
        at_once = checks.integer("at_once", at_once, least=1)
        waiting = given_inputs(self.predictor, inputs)
        batches = iter(lambda: list(islice(waiting, at_once)), [])
        return (one for batch in batches for one in self._interpreted(batch))

    def _interpreted(self, inputs: Sequence[JsonDict]) -> ExplainedInputs:
        interpretations = self.interpret_each(inputs)
        for interpretation in interpretations:
            if interpretation.error is not None:
                raise interpretation.error
        return ExplainedInputs(Explanations(one.explanations) for one in interpretations)

    def interpret_each(
        self,
        inputs: Sequence[JsonDict],
        predict: bool = False,
        progress: Progress = None,
        watch: Callable[[], None] | None = None,
    ) -> list[Interpretation]:
        """Explains many inputs, each with its own success or failure.

        Args:
            inputs: A list of what the predictor's `predict_json` takes.
            predict: Whether the predictions are wanted too; mostly they cost nothing more.
            progress: Whether to show a progress bar; None shows it on a terminal if it takes long.
                A function `progress(done, total)` is told in its place how many instances are
                explained.
            watch: Called before each forward pass of the model. A `BaseException` that is no
                `Exception` ends the interpretation of all inputs, and is raised here. If it has a
                method `expect(passes)`, that is told about how many passes are to come, once
                there is what to explain.

        Returns:
            One per input, in order.
        """
        run = Run(self, self._sharing, self._checked, len(inputs))
        known = self._known
        label = label_json if known is None else partial(known.labelled, label_json)
        if watch is None:
            return run.interpretations(label, inputs, predict, progress)
        with run.watched(watch):
            return run.interpretations(label, inputs, predict, progress)

    def interpret_each_instance(
        self, instances: Sequence[Instance], predict: bool = False, progress: Progress = None
    ) -> list[Interpretation]:
        """As `interpret_each`, for a dataset reader's instances; they are left as they are."""
        run = Run(self, self._sharing, self._checked, len(instances))
        known = self._known
        label = label_instances if known is None else partial(known.labelled, label_instances)
        return run.interpretations(label, instances, predict, progress)

    def share_labels(self, known: KnownLabels) -> None:
        """Takes predictions and labels of inputs from others, or makes them for these.

        Args:
            known: What is known of inputs of the same predictor.
        """
        self._known = known

    def check_settings(self) -> None:
        """Makes sure that the settings fit the model, as far as that is known without an input.

        Raises:
            SettingError: If one does not.
        """
        self.target.check(self.predictor._model)

    def config(self) -> JsonDict:
        """The interpreter's name and parameters, as they would stand in a config."""
        left_out = {"predictor", "target", "token_budget"}
        if self.granularity == "token":
            left_out.add("granularity")
        return describe(self, allennlp_interpreters.SaliencyInterpreter, frozenset(left_out))

    def space(
        self, session: Session, instances: Sequence[Instance], row_loss: RowLoss
    ) -> EmbeddingSpace:
        """The space that `attribute` is given: its coordinates are the input embeddings, unless a
        method overrides this."""
        return space_of(session, instances, row_loss)


# One registry for AllenNLP's interpreters and ours: from_params on either class finds both.
Registrable._registry[SaliencyInterpreter] = Registrable._registry[
    allennlp_interpreters.SaliencyInterpreter
]
