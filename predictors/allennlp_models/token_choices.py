"""The tokens that a model predicted one after another, with their log-probabilities."""

from __future__ import annotations

from dataclasses import replace

from allennlp.data import Instance
from allennlp.data.fields import LabelField, MetadataField

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.inputs.explained import EXPLAINED, LOG_LIKELIHOOD, explained_by


def with_log_prob(step: Instance, log_prob: float) -> Instance:
    """A labelled instance that also holds the log-probability of its token.

    Args:
        step: The instance, which is changed; its choice is a dataclass with `log_prob`.
        log_prob: The log-probability.
    """
    what = explained_by(step)
    assert what is not None
    choice = replace(what.choice, log_prob=log_prob)
    step.fields[EXPLAINED] = MetadataField(replace(what, choice=choice))
    return step


def expected_log_prob(step: Instance, label_field: str) -> Expected:
    """The log-probability of the token that was predicted; nothing of another one.

    Args:
        step: A labelled instance; its choice has `number` and `log_prob`.
        label_field: The name of its label field.
    """
    what = explained_by(step)
    label = step.fields.get(label_field)
    if what is None or not isinstance(label, LabelField) or label.label != what.choice.number:
        return {}
    return {} if what.choice.log_prob is None else {LOG_LIKELIHOOD: what.choice.log_prob}
