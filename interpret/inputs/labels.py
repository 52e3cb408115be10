"""The label that an instance carries: where it is, what it is called, how to change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.fields import (
    FlagField,
    IndexField,
    LabelField,
    MetadataField,
    SequenceLabelField,
    SpanField,
    TensorField,
    TextField,
)
from allennlp.models import Model
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..errors import InterpretationError, SettingError, close_names
from .explained import EXPLAINED, explained_by

LabelLike = LabelField | SequenceLabelField
_OUTSIDE = "O"
_USUAL_NAMES = ("label", "labels", "tags")


@dataclass(frozen=True)
class Labels:
    """The labels of the instances of a batch.

    Attributes:
        field: Name of the field that holds them.
        namespace: The vocabulary namespace that names them.
        vocab: The vocabulary.
        indices: `(instances,)`, or `(instances, positions)` for tags.
        mask: Which of the indices are explained, same shape: for a tagger whose instances carry
            one entity each, the entity's; never padding.
    """

    field: str
    namespace: str
    vocab: Vocabulary
    indices: Tensor
    mask: Tensor

    @classmethod
    def of(cls, instances: Sequence[Instance], model: Model) -> Labels | None:
        """The labels of some instances, None where they carry none (or several, unclear which).

        The instances must be indexed.
        """
        name = label_field(instances[0])
        if name is None:
            return None
        fields = [cast(LabelLike, instance.fields[name]) for instance in instances]
        namespace = label_namespace(fields[0], model)
        own: Any = [
            [field._label_id or 0] if isinstance(field, LabelField) else field._indexed_labels or ()
            for field in fields
        ]
        rows = [torch.tensor(list(map(int, one)), dtype=torch.long) for one in own]
        indices = pad_sequence(rows, batch_first=True)
        if isinstance(fields[0], LabelField):
            indices = indices.squeeze(1)
            mask = torch.ones_like(indices, dtype=torch.bool)
            return cls(name, namespace, model.vocab, indices, mask)
        pairs = zip(instances, fields, strict=True)
        explained = [_explained_tags(one, cast(SequenceLabelField, tags)) for one, tags in pairs]
        masks = [torch.tensor(one, dtype=torch.bool) for one in explained]
        mask = pad_sequence(masks, batch_first=True)
        return cls(name, namespace, model.vocab, indices, mask)

    def name(self, row: int) -> str:
        """What the label of an instance is called; the tags of an entity side by side."""
        names = self.vocab.get_index_to_token_vocabulary(self.namespace)
        indices = self.indices[row][self.mask[row]] if self.indices.dim() > 1 else self.indices[row]
        return " ".join(names.get(int(i), str(int(i))) for i in indices.reshape(-1).tolist())

    def positions(self, row: int) -> list[int] | None:
        """The tokens that carry the explained tags, None where the label is the text's."""
        if self.indices.dim() == 1:
            return None
        return self.mask[row].nonzero().flatten().tolist()

    def index(self, label: str) -> int:
        """The index of a label by its name.

        Raises:
            InterpretationError: If the model knows no such label; the message lists close ones.
        """
        return label_index(self.vocab, self.namespace, label)


def label_index(vocab: Vocabulary, namespace: str, label: str) -> int:
    """The index of a label by its name, or by its number where labels have none.

    Raises:
        SettingError: If there is no such label.
    """
    known = vocab.get_token_to_index_vocabulary(namespace)
    if label in known:
        return known[label]
    if not known and label.isdecimal():
        return int(label)
    raise SettingError(
        f"the model has no label {label!r} in its namespace {namespace!r}; "
        + (close_names(label, list(known)) or "its labels have no names: give a number")
    )


def check_label(parameter: str, label: str, model: Model) -> None:
    """Refuses a label that a model knows nowhere, whatever field an instance carries it in.

    Args:
        parameter: The parameter that names it.
        label: Its name.
        model: The model. Where its labels have no names, nothing is known of them.

    Raises:
        SettingError: If no namespace of the model's vocabulary has it.
    """
    own, vocab = namespace_of(model), model.vocab
    # Asked for one that it does not have, a vocabulary would make it.
    known = {space: vocab.get_token_to_index_vocabulary(space) for space in vocab.get_namespaces()}
    if not known.get(own) or any(label in names for names in known.values()):
        return
    try:
        label_index(model.vocab, own, label)
    except SettingError as error:
        raise SettingError(f"{parameter} {label!r}: {error}") from error


def label_field(instance: Instance) -> str | None:
    """The name of the field that holds an instance's label, None if it is absent or ambiguous."""
    what = explained_by(instance)
    if what is not None:
        return what.label_field
    names = [name for name, field in instance.fields.items() if isinstance(field, LabelLike)]
    usual = [name for name in _USUAL_NAMES if name in names]
    if usual:
        return usual[0]
    return names[0] if len(names) == 1 else None


def labelled_token(instance: Instance) -> dict[str, Any]:
    """The token that an instance's label belongs to: the one that an index into a text points at.

    Returns:
        `positions`, the token, and `field`, the text field that it is in, where there are several;
        empty for a label of a whole text, and where several indices point at tokens.
    """
    indices = [field for field in instance.fields.values() if isinstance(field, IndexField)]
    indices = [field for field in indices if isinstance(field.sequence_field, TextField)]
    if len(indices) != 1:
        return {}
    (index,) = indices
    return {"positions": [index.sequence_index], **among_texts(instance, index.sequence_field)}


def among_texts(instance: Instance, text: Any) -> dict[str, str]:
    """The name of a text field as `field`, where an instance has several text fields."""
    texts = {name: field for name, field in instance.fields.items() if isinstance(field, TextField)}
    own = [name for name, field in texts.items() if field is text]
    # A copy of an instance copies each of its fields by itself.
    own = own or [name for name, field in texts.items() if field.tokens == list(text)]
    return {"field": own[0]} if len(own) == 1 and len(texts) > 1 else {}


def labelled_span(instance: Instance) -> dict[str, Any] | None:
    """The span that an instance is labelled with, None if there is no such span, or several.

    Returns:
        `label`, its text; `positions`, its tokens; `field`, the text field that it is in. Where
        the field `no_answer` is set, the span stands for "no answer": then the label is empty, and
        `no_answer` is true.
    """
    spans = [field for field in instance.fields.values() if isinstance(field, SpanField)]
    if len(spans) != 1:
        return None
    start, end = spans[0].span_start, spans[0].span_end
    tokens = list(spans[0].sequence_field)[start : end + 1]  # type: ignore[call-overload]
    text = " ".join(token.text for token in tokens)
    for field in instance.fields.values():
        # Where readers for question answering keep the text.
        found = field.metadata if isinstance(field, MetadataField) else None
        passage = found.get("original_passage") if isinstance(found, dict) else None
        first, last = tokens[0].idx, getattr(tokens[-1], "idx_end", None)
        if passage is not None and first is not None and last is not None:
            text = passage[first:last]
    found = {"label": text, "positions": list(range(start, end + 1))}
    none = instance.fields.get("no_answer")
    if isinstance(none, TensorField) and bool(none.tensor.any()):
        found |= {"label": "", "no_answer": True}
    return {**found, **among_texts(instance, spans[0].sequence_field)}


def label_namespace(field: LabelLike, model: Model) -> str:
    """The vocabulary namespace of a label field, the model's where the field has indices only."""
    if isinstance(field, LabelField) and isinstance(field.label, int):
        return namespace_of(model, field._label_namespace)
    return field._label_namespace


def own_namespace(instance: Instance, model: Model) -> str | None:
    """The vocabulary namespace of the label that an instance carries, None if it carries none."""
    name = label_field(instance)
    return None if name is None else label_namespace(cast(LabelLike, instance.fields[name]), model)


def namespace_of(model: Model, otherwise: str = "labels") -> str:
    """The vocabulary namespace of a model's labels."""
    for name in ("_label_namespace", "label_namespace"):
        namespace = getattr(model, name, None)
        if isinstance(namespace, str):
            return namespace
    return otherwise


def _no_label(model: Model, instance: Instance, what: str) -> SettingError:
    """The error where a target needs a label, and the model's predictions are none, with what
    follows from that: it is the predictor's affair, and the same for every input."""
    fields = ", ".join(repr(name) for name in sorted(instance.fields) if name != EXPLAINED)
    return SettingError(
        f"what {type(model).__name__} predicts is in no single label field (the instance has "
        f"{fields}), so {what}; use the target 'log-likelihood' without 'label', which explains "
        "predictions of every kind"
    )


def every_label(instance: Instance, model: Model) -> list[str]:
    """The names of all labels that an instance's label field may have, in the model's order.

    Raises:
        SettingError: If the instance carries no label, or labels have no names.
    """
    name = label_field(instance)
    if name is None:
        raise _no_label(model, instance, "there are no labels to explain one by one")
    namespace = label_namespace(cast(LabelLike, instance.fields[name]), model)
    labels = model.vocab.get_token_to_index_vocabulary(namespace)
    what = explained_by(instance)
    if what is not None and what.choices:
        return [str(number) for number in range(len(what.choices))]
    if not labels:
        raise SettingError(
            f"the labels of namespace {namespace!r} have no names; name one by its number, as "
            "'label' of the target 'log-likelihood'"
        )
    return sorted(labels, key=labels.__getitem__)


def check_label_of(instance: Instance, label: str, model: Model) -> None:
    """Makes sure that an instance may be labelled so.

    Raises:
        SettingError: If the model has no such label.
        InterpretationError: If labels are numbers of what is in the input, which has fewer.
    """
    name = label_field(instance)
    if name is None:
        return  # a model with logits is asked for it by the target
    what = explained_by(instance)
    if what is None or not what.choices:
        namespace = label_namespace(cast(LabelLike, instance.fields[name]), model)
        label_index(model.vocab, namespace, label)
    elif not label.isdecimal() or int(label) >= len(what.choices):
        # A name fits no input; a number may fit another.
        unfit = InterpretationError if label.isdecimal() else SettingError
        raise unfit(
            f"there is no label {label!r}: the input has {len(what.choices)}, which are numbers "
            f"from '0' to '{len(what.choices) - 1}'"
        )


def carries(instance: Instance, label: str, model: Model) -> bool:
    """Whether a label is the one that an instance carries; of tags, each that is explained.

    Raises:
        SettingError: If the model has no such label.
    """
    name = label_field(instance)
    if name is None:
        return False
    field = cast(LabelLike, instance.fields[name])
    own: list[Any] = [field.label] if isinstance(field, LabelField) else [*field.labels]
    if not isinstance(field, LabelField):
        own = [tag for tag, one in zip(own, _explained_tags(instance, field), strict=True) if one]
    index = label_index(model.vocab, label_namespace(field, model), label)
    return bool(own) and all(one in (index, label) for one in own)


def relabelled(instance: Instance, label: str, model: Model) -> Instance:
    """A copy of an instance with another label; a tagger's explained tokens all get it.

    Raises:
        SettingError: If the instance carries no label to replace, or the label is unknown.
        InterpretationError: If the input has fewer labels (alternatives, antecedents).
    """
    name = label_field(instance)
    if name is None:
        raise _no_label(model, instance, f"the label {label!r} cannot replace it")
    field = instance.fields[name]
    assert isinstance(field, LabelLike)
    namespace = label_namespace(field, model)
    check_label_of(instance, label, model)
    index = label_index(model.vocab, namespace, label)
    copy = instance.duplicate()
    if isinstance(field, LabelField):
        copy.fields[name] = LabelField(index, namespace, skip_indexing=True)
    else:
        tags: list[Any] = [
            label if explained else tag
            for tag, explained in zip(field.labels, _explained_tags(instance, field), strict=True)
        ]
        copy.fields[name] = SequenceLabelField(tags, field.sequence_field, namespace)
    what = explained_by(instance)
    if what is not None and what.label is not None:
        other = replace(what, label={**what.label, "label": label})
        copy.fields[EXPLAINED] = MetadataField(other)
    copy.indexed = False
    return copy


def _explained_tags(instance: Instance, field: SequenceLabelField) -> list[bool]:
    """Which of the tags in the label field are explained."""
    what = explained_by(instance)
    if what is not None and what.positions is not None:
        return [number in what.positions for number in range(len(field.labels))]
    flag = instance.fields.get("ignore_loss_on_o_tags")
    only_spans = isinstance(flag, FlagField) and bool(flag.flag_value)
    return [not only_spans or tag != _OUTSIDE for tag in field.labels]
