"""The attentions of some instances, beside their embeddings and their target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from allennlp.data import Instance
from allennlp.data.fields import IndexField, SequenceLabelField
from allennlp.data.fields.field import Field
from torch import Tensor

from ..errors import InterpretationError, NotApplicableError
from ..inputs.labels import labelled_span
from ..inputs.texts import text_items, tokenizer_of
from ..model.embedding_layers import find_embedding_layers
from ..space.embedding_space import EmbeddingSpace
from ..space.prefix.prefix_space import PrefixSpace
from ..space.session import Session
from ..target.row_loss import RowLoss
from .recorder import CROSS, DECODER, ENCODER, AttentionCall, Recorder, Run, made_readable
from .sequences import PositionTrace, Sequences


@dataclass(frozen=True)
class Stack:
    """The attentions of one kind, layer after layer.

    Attributes:
        kind: "encoder", "decoder" or "cross".
        calls: One per layer, the first layer first.
        queries: The sequences that look.
        keys: Those that are looked at; the same, but for cross attention.
        run: The run that they are of.
    """

    kind: str
    calls: list[AttentionCall]
    queries: Sequences
    keys: Sequences
    run: Run


@dataclass(frozen=True)
class Reading:
    """How the sequences of a stack are read for each instance.

    Attributes:
        queries: The sequences that look, each as long as it is for the instance in `rows`.
        keys: Those that are looked at.
        made: Which of the stack's sequences each of them is.
    """

    queries: Sequences
    keys: Sequences
    made: Tensor


class AttentionSpace(EmbeddingSpace):
    """An embedding space that saw the attention weights in the pass in which it was recorded.

    Args:
        session: The predictor's private copy, the target and the budget.
        instances: Labelled instances to share a batch.
        row_loss: How to take a batch's loss apart.

    Raises:
        NotApplicableError: If the model computes no attention over heads.
        InterpretationError: If it cannot be determined which token stands where.

    Attributes:
        runs: The model's stacks of blocks, in the order in which they ran.
        row_instances: The instance that each row of the pass held, `(rows,)`.
        row_of: The row that held each instance, `(instances,)`.
    """

    row_instances: Tensor
    row_of: Tensor

    def __init__(
        self,
        session: Session,
        instances: Sequence[Instance],
        row_loss: RowLoss | None = None,
    ) -> None:
        # A recorder sees no pass that is served from the cache.
        session = replace(session, cache=None)
        twin = session.twin
        made_readable(twin.model)
        layers = find_embedding_layers(twin).layers
        recorder = Recorder(twin.model, [layer.module for layer in layers])
        self.row_instances = self.row_of = torch.arange(len(instances))
        with recorder.listening():
            super().__init__(session, instances, row_loss)
        self.runs = recorder.runs()
        self._embedded = recorder.embedded
        if not self.runs:
            raise NotApplicableError(
                f"{type(twin.model).__name__} has no transformer attention (weights over heads, "
                "queries and keys), so there is none to show; use a gradient method, such as "
                "'integrated-gradients' or 'deeplift'"
            )
        trace = PositionTrace(self.layout, self._graph[1], self.row_instances)
        self._sequences = {
            id(run): trace.sequences(run.of_kind(run.own_kind)[0], number)
            for number, run in enumerate(self.runs)
        }
        self._check()

    def sequences(self, run: Run) -> Sequences:
        """The sequences that a run works on."""
        return self._sequences[id(run)]

    def reading(self, stack: Stack) -> Reading:
        """Which sequences of a stack are whose, and how far."""
        rows = self.row_of[stack.queries.rows]
        pairs = (self.row_of.unsqueeze(1) == rows.unsqueeze(0)).nonzero()
        instances, made = pairs[:, 0], pairs[:, 1]
        queries, keys = (
            Sequences(self.layout, instances, one.sources[made])
            for one in (stack.queries, stack.keys)
        )
        return Reading(queries, keys, made)

    def stacks(self, kind: str | None = None) -> list[Stack]:
        """The attentions of a kind; None for those that look at the texts for the prediction:
        where an encoder is only read by a decoder, what that looks at.

        Raises:
            InterpretationError: If there are none of that kind.
        """
        read = {id(run.reads) for run in self.runs}
        found = [
            stack
            for run in self.runs
            for stack in self.stacks_of(run)
            if stack.kind == kind or (kind is None and id(run) not in read)
        ]
        if not found:
            kinds = sorted({call.kind for run in self.runs for call in run.calls})
            raise InterpretationError(
                f"{type(self._twin.model).__name__} has no {kind} attention, but "
                f"{' and '.join(kinds)}: kind={kinds[0]!r}"
            )
        return found

    def stacks_of(self, run: Run) -> list[Stack]:
        """The attentions of a run, by their kinds."""
        found = []
        for kind in (CROSS, DECODER, ENCODER):
            keys = run.reads if kind == CROSS and run.reads is not None else run
            calls = run.of_kind(kind)
            if calls:
                found.append(Stack(kind, calls, self.sequences(run), self.sequences(keys), run))
        return found

    def weight_gradients(self, calls: Sequence[AttentionCall]) -> list[Tensor]:
        """∂F/∂A of the attention weights A, each of the shape of its `weights`."""
        values, _ = self._graph
        gradients = self._gradient(values, [call.made for call in calls])
        return [call.shaped(gradient) for call, gradient in zip(calls, gradients, strict=True)]

    @cached_property
    def explained(self) -> dict[str, list[list[int]]]:
        """The tokens at which the explained labels stand, by field and instance; empty where
        labels are those of whole texts."""
        found: dict[str, list[list[int]]] = {}
        for row in range(len(self.instances)):
            field, tokens = self._explained_tokens(row)
            if tokens:
                found.setdefault(field, [[] for _ in self.instances])[row] = tokens
        return found

    def _explained_tokens(self, row: int) -> tuple[str, list[int]]:
        instance = self.instances[row]
        if self.labels is None:
            span = labelled_span(instance)
            if span is not None and "positions" in span:
                return span.get("field", self._only_field()), span["positions"]
        elif (positions := self.labels.positions(row)) is not None:
            tags = instance.fields[self.labels.field]
            assert isinstance(tags, SequenceLabelField)
            return self._field_of(instance, tags.sequence_field), positions
        for field in instance.fields.values():
            if isinstance(field, IndexField):
                at = field.sequence_index
                return self._field_of(instance, field.sequence_field), [at]
        return "", []

    def _field_of(self, instance: Instance, text: Field) -> str:
        for name, field in instance.fields.items():
            if field is text:
                return name
        return self._only_field()

    def _only_field(self) -> str:
        names = self.layout.names
        return names[0] if len(names) == 1 else ""

    def label_of_positions(self, row: int) -> list[str]:
        """What stands at each position of an instance's embeddings: wordpieces by their names."""
        labels: list[str] = []
        for number, call in enumerate(self.layout.calls):
            names = [
                [
                    token.text or ""
                    for item in text_items(self.instances[row].fields[name])
                    for token in item.text.tokens
                ]
                for name in call.names
            ]
            places = zip(call.fields[row].tolist(), call.tokens[row].tolist(), strict=True)
            own = [names[field][token] if token >= 0 else "" for field, token in places]
            pieces = self._pieces(number, row)
            if len(pieces) == len(own):
                own = [piece or name for piece, name in zip(pieces, own, strict=True)]
            labels += own
        return labels

    def _pieces(self, number: int, row: int) -> list[str]:
        """The wordpieces that a call embedded, by the names that their tokenizer gives them."""
        call = self.layout.calls[number]
        tokenizer = tokenizer_of(call.indexer)
        names = getattr(tokenizer, "convert_ids_to_tokens", None)
        same = len(self._embedded) == len(self.layout.calls)
        given = self._embedded[number] if same else None
        if names is None or given is None:
            return []
        ids = given.T if call.transposed else given
        own = ids.reshape(len(self.row_instances), -1)[self.row_of[row]].tolist()
        return [name or "" for name in names(own)]

    def _check(self) -> None:
        for run in self.runs:
            for call in run.calls:
                keys = run.reads if call.kind == CROSS and run.reads is not None else run
                sequences, queries = self.sequences(run).sources.shape
                expected = (sequences, queries, self.sequences(keys).sources.shape[1])
                weights = tuple(call.weights.shape)
                if (weights[0], *weights[2:]) != expected:
                    raise InterpretationError(
                        f"{type(call.frame.module).__name__} has attention weights of shape "
                        f"{weights} for {sequences} sequences of {queries} positions that look at "
                        f"{expected[2]}: this form of attention is not supported; use a gradient "
                        "method"
                    )


class PrefixAttentionSpace(AttentionSpace, PrefixSpace):
    """The same, where instances that are prefixes of a text share the row of the whole text: no
    position attends to a later one.

    Raises:
        NotCausalError: If a position of the model does.
    """
