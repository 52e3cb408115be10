"""Sequence-to-sequence models of allennlp-models: which words of the source, and of the text so
far, make this token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField, TextField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.inputs.explained import (
    EXPLAINED,
    LOG_LIKELIHOOD,
    Explained,
    explained,
)
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import Forward

from ...transformers.texts.reader import TransformersIndexer
from ..hooks import heard, replaced
from .generation import LABEL, Choice, TokenLabels, with_log_probs
from .writers import Writer, part, writer_of

Step = Callable[..., tuple[Tensor, dict[str, Tensor]]]


@dataclass(eq=False)
class ForcedSearch:
    """Stands in for an `allennlp.nn.beam_search.BeamSearch`, for a given text.

    The decoder takes the same steps as when it predicted, by the model's own step function; only
    which token comes next is given. So the sum of the tokens' log-probabilities is the score of the
    beam that was predicted, and all of it can be differentiated, which a search cannot.

    Args:
        replaced: The beam search whose place it takes.
        embedding: The layer that embeds what the decoder reads.
        head: The module that returns the logits of a step, or something that has `logits`; None
            where a token has no single logit.
        read: The ids that the decoder embeds, `(rows, steps)`, padded.
        before: Per row the ids that the search predicted before the token that is explained.
        label: The ids of these tokens, `(rows,)`.

    Attributes:
        embedded: Stands in for the embedding.
        log_probs: Of the token that is explained, its log-probability, `(rows,)`.
        all_log_probs: The log-probabilities of all ids in the step of that token, `(rows, ids)`.
        logits: The same before they were normalised; None without a head.
        token_log_probs: The log-probabilities of a row's tokens, the explained one last,
            `(rows, steps)`, 0 behind that.
    """

    replaced: Any
    embedding: nn.Module
    head: nn.Module | None
    read: Tensor
    before: Sequence[Sequence[int]]
    label: Tensor
    embedded: EmbeddedSteps = field(default_factory=lambda: EmbeddedSteps(), init=False)
    log_probs: Tensor = field(init=False)
    all_log_probs: Tensor = field(init=False)
    logits: Tensor | None = field(init=False)
    token_log_probs: Tensor = field(init=False)

    def search(
        self, start_predictions: Tensor, start_state: dict[str, Tensor], step: Step
    ) -> tuple[Tensor, Tensor]:
        """Takes the steps of the given texts.

        Args:
            start_predictions: What the decoder starts from, `(rows,)` or `(rows, 1)`.
            start_state: The state that the first step is given.
            step: The model's step function.

        Returns:
            The texts, `(rows, 1, steps)`, and their scores, `(rows, 1)`, as a beam search of one
            beam has them.
        """
        texts = self._texts()
        lengths = torch.tensor([len(row) for row in self.before], device=texts.device)
        timed = len(signature(step).parameters) > 2
        self.embedded.steps = self.embedding(self.read)
        state, last = start_state, start_predictions
        kept: list[tuple[Tensor, Tensor, Tensor | None]] = []
        own: list[Tensor] = []
        with heard(*([] if self.head is None else [self.head])) as returned:
            for number in range(texts.shape[1]):
                self.embedded.number = number
                log_probs, state = step(last, state, *([number] if timed else []))
                logits = _last_logits(returned[0][-1]) if returned else None
                for outputs in returned:
                    outputs.clear()  # or the logits of every step would stay
                last = texts[:, number]
                own.append(log_probs.detach().gather(1, last.unsqueeze(1)))
                (ending,) = torch.where(lengths == number)
                if len(ending):
                    own_logits = None if logits is None else logits[ending]
                    kept.append((ending, log_probs[ending], own_logits))
        self._keep(kept, torch.cat(own, dim=1), lengths)
        scores = self.token_log_probs.sum(-1, keepdim=True)
        scorer = getattr(self.replaced, "final_sequence_scorer", None)
        if scorer is not None:
            scores = scorer.score(texts.unsqueeze(1), scores, self.replaced._end_index)
        return texts.unsqueeze(1), scores

    def _texts(self) -> Tensor:
        """The tokens of each row up to the explained one, `(rows, steps)`; behind it the id that
        ends a text."""
        texts = self.label.new_full(
            (len(self.before), max(map(len, self.before)) + 1), self.replaced._end_index
        )
        for row, ids in enumerate(self.before):
            texts[row, : len(ids)] = texts.new_tensor(ids)
            texts[row, len(ids)] = self.label[row]
        return texts

    def _keep(
        self, kept: Sequence[tuple[Tensor, Tensor, Tensor | None]], own: Tensor, lengths: Tensor
    ) -> None:
        order = torch.cat([rows for rows, _, _ in kept]).argsort()
        self.all_log_probs = torch.cat([log_probs for _, log_probs, _ in kept])[order]
        self.log_probs = self.all_log_probs.gather(1, self.label.unsqueeze(1)).squeeze(1)
        logits = [one for _, _, one in kept if one is not None]
        self.logits = torch.cat(logits)[order] if logits else None
        places, ends = torch.arange(own.shape[1], device=own.device), lengths.unsqueeze(1)
        # Of the others there is no graph: it would keep the logits of every step.
        own = torch.where(places == ends, self.log_probs.unsqueeze(1), own)
        self.token_log_probs = torch.where(places <= ends, own, 0.0)


class EmbeddedSteps(nn.Module):
    """Stands in for the layer that embeds what the decoder reads, which has embedded all steps.

    Attributes:
        steps: What it returned for them, `(rows, steps, dim)`.
        number: The step that the decoder takes.
    """

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def forward(self, ids: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The embedding of the step's token, in the form of its ids: `(rows,)` or `(rows, 1)`."""
        own = self.steps[:, self.number]
        return own if ids.dim() == 1 else own.unsqueeze(1)


def _last_logits(output: Any) -> Tensor:
    """The logits of the last position that a head returned."""
    logits = output if isinstance(output, Tensor) else output.logits
    return logits[:, -1] if logits.dim() > 2 else logits


_GENERATED = "generated"
_TOKENS = f"{EXPLAINED}_token_log_likelihoods"


class Seq2SeqLabels(TokenLabels):
    """One explanation per token of the best text, given those before it.

    The number is log p(token | source, tokens before), by the decoder's own steps. There are two
    inputs: the source, and what the decoder read before the token.
    """

    def search(self, model: Model) -> Any:
        writer = writer_of(model)
        return None if writer is None else part(model, writer.search)

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        """One instance per token of the best beam, the one that ends the text among them."""
        model = predictor._model
        writer = writer_of(model)
        if writer is None:
            raise InterpretationError(
                f"predictor {type(predictor).__name__!r} has a {type(model).__name__}, and how one "
                "writes is not known here: derive it from one of allennlp-models' own, or override "
                "predictions_to_labeled_instances in the predictor"
            )
        steps = _steps(writer, model, instance, writer.ids(model, outputs))
        predictor._dataset_reader.apply_token_indexers(steps[-1])
        found = model.forward_on_instance(steps[-1])
        otherwise = "the model's decoder depends on something else than its state"
        scores = writer.score_of(outputs), writer.score_of(found)
        self.check_score(model, "score", *scores, otherwise)
        return with_log_probs(steps, found[_TOKENS])

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """What the model predicts, or for labelled rows what it makes of each row's token."""
        generated, label = inputs.pop(_GENERATED, None), inputs.pop(LABEL, None)
        writer = writer_of(model)
        if generated is None or what is None or writer is None:
            return run(**inputs)
        search = ForcedSearch(
            part(model, writer.search),
            part(model, writer.embedding),
            None if writer.head is None else part(model, writer.head),
            generated["tokens"]["token_ids"],
            [one.choice.before for one in what],
            label,
        )
        with (
            replaced(*_place(model, writer.search), search),
            replaced(*_place(model, writer.embedding), search.embedded),
        ):
            outputs = run(**inputs)
        outputs |= {LOG_LIKELIHOOD: search.log_probs, _TOKENS: search.token_log_probs}
        if search.logits is not None:
            outputs["logits"] = search.logits
        else:
            outputs["probs"] = search.all_log_probs.exp()
        return outputs

    def attach(self, model: Model) -> None:
        """As for others; the model names its layers."""
        super().attach(model)
        writer = writer_of(model)
        if writer is not None:
            own: Any = model
            own.text_layers = partial(writer.layers, model)


def _steps(writer: Writer, model: Model, instance: Instance, ids: Sequence[int]) -> list[Instance]:
    """One labelled instance per token, each with what the decoder reads before it."""
    indexers: Any = {"tokens": TransformersIndexer(writer.tokenizer(model))}
    tokens = [writer.token(model, instance, number) for number in ids]
    reads = [writer.first(model), *tokens]
    # A target that the reader gave it is not what is explained.
    source = Instance({k: one for k, one in instance.fields.items() if k not in writer.targets})
    source.indexed = instance.indexed
    steps = []
    for place, (number, token) in enumerate(zip(ids, tokens, strict=True)):
        choice = Choice(number, before=tuple(ids[:place]))
        read = TextField(reads[: place + 1], indexers)
        label = LabelField(number, writer.namespace_of(model), skip_indexing=True)
        what = Explained({"label": token.text}, choice, LABEL)
        steps.append(explained(source, what, generated=read, label=label))
    return steps


def _place(model: Model, path: str) -> tuple[Any, str]:
    """The module that has what stands at a path, and its name there."""
    owner, _, name = path.rpartition(".")
    return part(model, owner), name
