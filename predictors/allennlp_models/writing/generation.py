"""What models that write have in common: tokens that were predicted one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from allennlp.data import Instance
from allennlp.data.fields import LabelField, MetadataField
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import EXPLAINED, LOG_LIKELIHOOD, explained_by
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import PredictionLabels

LABEL = "label"
_SAME = 1e-3
_BEST = "DeterministicSampler"


@dataclass(frozen=True)
class Choice:
    """The token that an instance stands for.

    Attributes:
        number: Its id, as it was predicted.
        log_prob: Its log-probability; None before that is known.
        before: The ids that a beam search predicted before it.
        gap: The number of the gap that it fills.
    """

    number: int
    log_prob: float | None = None
    before: tuple[int, ...] = ()
    gap: int = 0


class TokenLabels(PredictionLabels):
    """Labels that are tokens of a vocabulary: a `Choice` and a label field for each."""

    writes: ClassVar = True

    def search(self, model: Model) -> Any:
        """The `allennlp.nn.beam_search.BeamSearch` by which a model writes, None without one."""
        return None

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        """The log-probability of the token that was predicted; nothing of another one."""
        what, label = explained_by(instance), instance.fields.get(LABEL)
        if what is None or not isinstance(label, LabelField) or label.label != what.choice.number:
            return {}
        return {} if what.choice.log_prob is None else {LOG_LIKELIHOOD: what.choice.log_prob}

    def _sampler(self, model: Model) -> Any:
        """What draws the tokens of a search, None where it takes the best."""
        sampler = getattr(self.search(model), "sampler", None)
        return None if type(sampler).__name__ == _BEST else sampler

    def details(self, predictor: Predictor, outputs: Mapping[str, Any]) -> JsonDict:
        """Whether the text was drawn at random."""
        sampler = self._sampler(predictor._model)
        if sampler is None:
            return {}
        return {
            "generation": (
                f"drawn at random by the beam search's {type(sampler).__name__}: another call "
                "may write, and so explain, another text; call torch.manual_seed before each call "
                "to get the same one"
            )
        }

    def check_score(
        self, model: Model, what: str, predicted: float, found: float, otherwise: str
    ) -> None:
        """Compares the score that a beam search gave a text with that of its tokens; a search that
        draws its tokens may give it the score of the draw.

        Raises:
            InterpretationError: If they differ.
        """
        drawn = self._sampler(model) is not None
        if not drawn and abs(predicted - found) > _SAME * max(abs(predicted), 1.0):
            raise InterpretationError(
                f"{type(model).__name__} predicted a text with the {what} {predicted:.6g}, and its "
                f"tokens one by one have {found:.6g}, so explanations of these would be of another "
                f"number; {otherwise}"
            )


def with_log_probs(steps: Sequence[Instance], log_probs: Iterable[float]) -> list[Instance]:
    """The same labelled instances, which also hold the log-probabilities of their tokens."""
    for step, log_prob in zip(steps, log_probs, strict=True):
        what = explained_by(step)
        assert what is not None
        choice = replace(what.choice, log_prob=float(log_prob))
        step.fields[EXPLAINED] = MetadataField(replace(what, choice=choice))
    return list(steps)
