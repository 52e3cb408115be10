"""What the methods that read a model's attention have in common."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...attention.attention_reduction import QUERIES, matrices_of, token_scores, written
from ...attention.attention_space import AttentionSpace, PrefixAttentionSpace, Stack
from ...attention.recorder import KINDS
from ...errors import InterpretationError
from ...explanation import AttentionMatrix
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import one_position
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...space.embedding_space import EmbeddingSpace
from ...space.prefix.prefix_space import NotCausalError, group_by_text
from ...space.session import Session
from ...target.row_loss import RowLoss

#: What is meant as true or false in files and on command lines, and is no folder.
_NO_FOLDERS = frozenset(("", "true", "false", "yes", "no", "on", "off", "none", "null", "0", "1"))


@dataclass(frozen=True)
class View:
    """What a method makes of the attentions of a kind.

    Attributes:
        stack: The attentions.
        full: A matrix per layer, `(layers, sequences, heads, queries, keys)`, or without heads.
        matrix: The one that scores are read from, `(sequences, queries, keys)`.
    """

    stack: Stack
    full: Tensor
    matrix: Tensor


class AttentionInterpreter(SaliencyInterpreter):
    """score_k = Σ_i q_i M_ik: how much the positions i that count look at token k.

    A method says what M is. Wordpieces are added up where they are looked at, averaged where they
    look. Applies to models with transformer attention.

    Args:
        predictor: The predictor whose predictions are explained.
        kind: Which attention: "encoder" or "decoder" (each to itself), "cross" (of a decoder to
            what its encoder read); None for what looks at the texts for the prediction: "cross"
            and "decoder" where a decoder reads an encoder's text, else the only one there is.
        query: From where to look, q: "mean" of all positions, their "sum", "first", "last", or the
            number of a token; None for the tokens whose labels are explained (tags, an answer, a
            gap), and where there are none for "last" in a decoder, which predicts from there, and
            "mean" in an encoder.
        matrices: Whether the matrices of all layers and heads are kept with the explanation
            (`explanation.matrices`, arrays; in JSON lists of numbers); a folder for a `.npz` file
            of them per explanation, which then holds its name.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If a parameter is none of these.
        NotApplicableError: When interpreting, if the model has no transformer attention.
        InterpretationError: When interpreting, if it has none of that kind, or a text has no such
            token.
    """

    bound_to_text = "it reads attention where the text itself is read"

    default_query: ClassVar[str | None] = None
    """The query where none is named."""

    def __init__(
        self,
        predictor: Predictor,
        kind: str | None = None,
        query: str | int | None = None,
        matrices: bool | str = False,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        query = self.default_query if query is None else query
        folder = isinstance(matrices, str) and matrices.casefold() not in _NO_FOLDERS
        if not folder and not isinstance(matrices, bool):
            raise ConfigurationError(
                f"matrices is true, false or a folder, not {matrices!r} of type "
                f"{type(matrices).__name__}; a folder of that name is './{matrices}'"
            )
        self.kind = None if kind is None else checks.choice("kind", kind, KINDS)
        self.query = None if query is None else checks.choice_or_integer("query", query, QUERIES)
        self.matrices = matrices

    def space(
        self, session: Session, instances: Sequence[Instance], row_loss: RowLoss
    ) -> AttentionSpace:
        if self.shares_prefixes and len(group_by_text(session.twin.model, instances)) < len(
            instances
        ):
            with suppress(NotCausalError):
                return PrefixAttentionSpace(session, instances, row_loss)
        return AttentionSpace(session, instances, row_loss)

    def views(self, space: AttentionSpace) -> list[View]:
        """What to read the scores from; those of several kinds or runs are added up."""
        raise NotImplementedError(f"{type(self).__name__} does not implement views()")

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        assert isinstance(space, AttentionSpace)
        if bool(space.layout.held.any()):
            raise InterpretationError(
                "attention looks from one token at a time, and a span of several is explained; "
                'explain each token by itself ("explain": "token"), or use a gradient method, such '
                "as 'integrated-gradients'"
            )
        views = self.views(space)
        scores = torch.zeros(space.layout.tokens.shape, dtype=torch.double)
        for view in views:
            scores += token_scores(space, view.stack, view.matrix.detach(), self.query)
        matrices: list[list[AttentionMatrix]] = []
        if self.matrices is not False:
            matrices = matrices_of(space, [(view.stack, view.full) for view in views])
        if isinstance(self.matrices, str):
            matrices = [written(own, self.matrices) for own in matrices]
        kinds = sorted({view.stack.kind for view in views})
        details = [{"attention": kinds} for _ in space.instances]
        return Attribution(
            scores,
            details=details,
            matrices=matrices,
            warnings=self.warnings(space, scores),
            zero_causes=[self.zero_cause] * len(scores),
        )

    @property
    def zero_cause(self) -> str:
        """Why the scores of a text are zero where all of them are."""
        return "no position that counts looks at it"

    def warnings(self, space: AttentionSpace, scores: Tensor) -> list[list[str]]:
        """Per instance what to warn of.

        Args:
            space: The instances.
            scores: Their scores, `(instances, positions)`.
        """
        return [[] for _ in space.instances]


def sinks(space: AttentionSpace, scores: Tensor) -> list[list[str]]:
    """Per instance a warning where one position has nearly all of the attention.

    Args:
        space: The instances.
        scores: Their scores, `(instances, positions)`.
    """
    found: list[list[str]] = []
    for row, own in enumerate(scores):
        present = space.layout.present[row]
        labels = zip(space.label_of_positions(row), present.tolist(), strict=True)
        warning = one_position(own[present], [name for name, there in labels if there])
        found.append([] if warning is None else [warning])
    return found
