"""Predictions of many inputs, made in batches where that gives what each input gives alone.

A prediction that is made alone is the measure of everything else: the outputs that are explained,
in a batch, must be equal to it. Over many inputs these predictions take as long as a method with
one pass. So only the first are made alone. They are made once more in one padded batch; where all
that the model returns is the same, the others are predicted in batches of about equal length, and
where not (the outputs have the length of the batch, or the model sees padding) in batches without
padding. Of every batch the shortest instance is predicted alone, too: the shortest by each of its
texts. As soon as one differs, all that was predicted in this way is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allennlp.data import Instance
from allennlp.models import Model
from allennlp.predictors import Predictor

from ...contracts import LabelsUnpredicted, PredictsTogether, ReadsWindows, overrides
from ...inputs.texts import padded_positions, text_items
from ...model.twin import place
from ...space.packing import TokenBudget, let_go
from ...target.prediction_check import tolerance
from ...target.same_prediction import same_prediction
from ..reading import LengthCheck
from .own_lengths import Outputs, OwnLengths, lengths_of
from .predictor_labels import PredictionLabels

FEW = 24
"""Of so many inputs, or fewer, all are predicted alone: where a pass takes long, batches save less
than the passes that they are checked with."""

TRIED = 4
"""Of more inputs so many are predicted alone first."""

_PARTS = slice(TRIED), slice(TRIED, None)
_WORTH_A_BATCH = 3
# No graph is kept of a prediction, and each batch costs one pass more.
_TOKENS = 2048
_PADDING = 0.2
_COARSE = 1e-2


@dataclass(frozen=True)
class Known:
    """An input that was read, and what the model returned for it, as far as that is known.

    Attributes:
        instances: What the predictor made of it.
        outputs: What the model returned for its only instance; None where that was not run.
    """

    instances: Sequence[Instance]
    outputs: Outputs | None = None


def predicts_plainly(predictor: Predictor, labels: PredictionLabels | None) -> bool:
    """Whether a predictor's outputs are those of `forward_on_instance` alone, of a model that does
    not write and computes in more than sixteen bits, whose rounding errors would hide what a batch
    changes.

    Args:
        predictor: The predictor.
        labels: The labels that are registered for it; None where it has its own.
    """
    model: Any = predictor._model
    own = (Predictor.json_to_labeled_instances, Predictor.predict_json, Predictor.predict_instance)
    if isinstance(predictor, LabelsUnpredicted) or (labels is not None and labels.writes):
        return False
    if labels is None and any(overrides(predictor, method) for method in own):
        return False
    if {"forward_on_instance", "forward_on_instances"} & vars(model).keys():
        return False
    if type(model).forward_on_instance is not Model.forward_on_instance:
        return False
    if type(model).forward_on_instances is not Model.forward_on_instances and not (
        isinstance(model, PredictsTogether) and model.predicts_together
    ):
        return False
    return tolerance(*place(model)) < _COARSE


class BatchedPredictions:
    """Reads many inputs and predicts them in batches.

    Args:
        predictor: A predictor that may be run freely, and that `predicts_plainly`.
        alone: What its model returns for an instance alone.
        lengths: Refuses texts that are too long.
    """

    def __init__(
        self, predictor: Predictor, alone: Callable[[Instance], Outputs], lengths: LengthCheck
    ) -> None:
        self._predictor = predictor
        self._alone = alone
        self._lengths = lengths
        self._device, self._dtype = place(predictor._model)

    def of(self, read: Sequence[Sequence[Instance] | None]) -> list[Known | None]:
        """What is known of inputs, before they are labelled.

        Args:
            read: The instances of each; None where that is not known.

        Returns:
            One per input, in order. An input that cannot be read, or that fails alone, has no
            outputs here: its error is that of the input when it is labelled.
        """
        fitting = {n: one[0] for n, one in enumerate(read) if one is not None and self._fits(one)}
        first, others = (dict([*fitting.items()][part]) for part in _PARTS)
        alone = {n: out for n, one in first.items() if (out := self._lone(one)) is not None}
        together = self._together({n: first[n] for n in alone}, alone, others)
        outputs = {**alone, **together}
        return [None if one is None else Known(one, outputs.get(n)) for n, one in enumerate(read)]

    def read(
        self, inputs: Sequence[Callable[[], Sequence[Instance]]]
    ) -> list[Sequence[Instance] | None]:
        """The instances of each input; None where it cannot be read. If reading changes an
        attribute of the predictor or its reader, it may label what it has read last, or count, so
        nothing is read ahead.

        Args:
            inputs: For each what reads it.
        """
        read: list[Sequence[Instance] | None] = []
        own = vars(self._predictor)
        before = dict(own)
        # What they keep from the first one on (an attribute that is made once) is no change.
        kept = self._attributes()
        for number, one in enumerate(inputs):
            try:
                read.append(one())
            except Exception as error:
                let_go(error)
                read.append(None)
            now = self._attributes()
            if number == 0:
                kept = now
            elif now.keys() != kept.keys() or any(now[key] is not one for key, one in kept.items()):
                # The predictor is a copy; its reader is the user's own and stays as it is.
                own.clear()
                own.update(before)
                return [None] * len(inputs)
        return read

    def _attributes(self) -> dict[tuple[bool, str], Any]:
        """The attributes of the predictor and of its reader, by whose they are and their names."""
        reader = getattr(self._predictor._dataset_reader, "__dict__", {})
        several = (False, vars(self._predictor)), (True, reader)
        return {(of_reader, key): one for of_reader, own in several for key, one in own.items()}

    def _fits(self, instances: Sequence[Instance]) -> bool:
        """Whether the one instance of an input may be predicted in a batch: it has texts, none of
        them empty or too long. What is wrong with others is told when they are predicted alone."""
        if len(instances) != 1:
            return False
        (instance,), model = instances, self._predictor._model
        texts = [item.text for field in instance.fields.values() for item in text_items(field)]
        if not texts or not all(text.tokens for text in texts):
            return False
        try:
            self._predictor._dataset_reader.apply_token_indexers(instance)
            instance.index_fields(model.vocab)
            self._lengths.check(instance)
            return not (isinstance(model, ReadsWindows) and model.windows_of(instance))
        except Exception as error:
            let_go(error)
            return False

    def _lone(self, instance: Instance) -> Outputs | None:
        try:
            return self._alone(instance)
        except Exception as error:
            let_go(error)
            return None

    def _together(
        self,
        tried: Mapping[int, Instance],
        alone: Mapping[int, Outputs],
        others: Mapping[int, Instance],
    ) -> dict[int, Outputs]:
        """The outputs of instances in batches; of none, where a batch changes them.

        Args:
            tried: Instances that were predicted alone, by their numbers.
            alone: Their outputs.
            others: The instances to predict.
        """
        if len(tried) < 2 or len(others) < _WORTH_A_BATCH:
            return {}
        instances, known = [*tried.values()], [*alone.values()]
        found = self._batch(instances)
        if found is not None:
            own = OwnLengths.learnt(instances, known, found)
            pairs = zip(known, map(own.cut, instances, found), strict=True)
            if all(cut is not None and self._same(one, cut) for one, cut in pairs):
                outputs = self._batches(others, own)
                if outputs is not None:
                    return outputs
        return self._batches(others, None) or {}

    def _batches(
        self, instances: Mapping[int, Instance], padded: OwnLengths | None
    ) -> dict[int, Outputs] | None:
        """The outputs of instances by their numbers, without those of batches that fail or that
        are too small, and those that are padded nobody knows how far; None if an instance has
        others alone.

        Args:
            instances: The instances.
            padded: Cuts what the model returns for padding; None where only instances of equal
                length may share a batch.
        """
        numbers = list(instances)
        lengths = [padded_positions(one) for one in instances.values()]
        shapes = [str(lengths_of(one)) for one in instances.values()]
        # Not the budget of an interpreter: several may share what is predicted here.
        budget = TokenBudget(max(TokenBudget.default(self._device).tokens, _TOKENS))
        groups = budget.groups(lengths, 1, shapes if padded is None else None, _PADDING)
        cut = (padded or OwnLengths()).cut
        outputs: dict[int, Outputs] = {}
        for group in groups[::-1]:
            if len(group) < _WORTH_A_BATCH:
                continue
            own = [numbers[place] for place in group[::-1]]
            found = self._batch([instances[number] for number in own])
            if found is None:
                continue
            pairs = zip(own, found, strict=True)
            together = {n: out for n, one in pairs if (out := cut(instances[n], one)) is not None}
            if padded is None and not outputs:
                # Of the first batch without padding more, as no other was tried.
                tried = own[-TRIED:]
            else:
                tried = most_padded({n: lengths_of(instances[n]) for n in reversed(together)})
            alone = {n: out for n in tried if (out := self._lone(instances[n])) is not None}
            if len(alone) < len(tried):
                continue
            if not all(self._same(one, together[number]) for number, one in alone.items()):
                return None
            outputs.update({**together, **alone})
        return outputs

    def _batch(self, instances: list[Instance]) -> Sequence[Outputs] | None:
        """The outputs of a batch; None if it fails."""
        try:
            return self._predictor._model.forward_on_instances(instances)
        except Exception as error:
            let_go(error)
            return None

    def _same(self, alone: Outputs, together: Outputs) -> bool:
        return same_prediction(alone, together, self._device, self._dtype)


def most_padded(lengths: Mapping[int, Mapping[tuple[str, str], int]]) -> list[int]:
    """Instances of a batch that have together the most padding of each kind that it has; one where
    it has none.

    Args:
        lengths: The padding lengths of each, by its number; the first is taken where it will do.
    """
    kinds = {kind for own in lengths.values() for kind in own}
    chosen = [*lengths][:1]
    for kind in sorted(kinds):
        own = {number: one.get(kind, 0) for number, one in lengths.items()}
        least = min(own.values())
        if least < max(own.values()) and all(own[number] > least for number in chosen):
            chosen.append(min(own, key=own.__getitem__))
    return chosen
