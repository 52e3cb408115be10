"""Sequence-to-sequence models of allennlp-models: which words of the source, and of the text so
far, make this token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from allennlp.data import Instance
from allennlp.data.fields import LabelField, TextField
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import (
    EXPLAINED,
    LOG_LIKELIHOOD,
    Explained,
    explained,
)
from allennlp_saliency.interpret.interpreter.predictor_labels import (
    Forward,
    PredictionLabels,
    labels_for,
)

from ...transformers.texts.reader import TransformersIndexer
from ..replaced import replaced
from ..sampling import draws, generation_details
from ..token_choices import expected_log_prob, with_log_prob
from .forced_search import ForcedSearch
from .writers import Writer, part, writer_of

_GENERATED, _LABEL = "generated", "label"
_TOKENS = f"{EXPLAINED}_token_log_likelihoods"
_SAME = 1e-3


@dataclass(frozen=True)
class Step:
    """The token that an instance stands for.

    Attributes:
        number: Its id, as the beam search predicted it.
        before: The ids that were predicted before it.
        log_prob: Its log-probability; None before that is known.
    """

    number: int
    before: tuple[int, ...]
    log_prob: float | None = None


@labels_for("allennlp_models.generation.predictors.seq2seq.Seq2SeqPredictor")
class Seq2SeqLabels(PredictionLabels):
    """One explanation per token of the best text, given those before it.

    The number is log p(token | source, tokens before), by the decoder's own steps. There are two
    inputs: the source, and what the decoder read before the token.
    """

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
        written = writer.written(model, outputs)
        steps = _steps(writer, model, instance, written.ids)
        predictor._dataset_reader.apply_token_indexers(steps[-1])
        found = model.forward_on_instance(steps[-1])
        _check_score(writer, model, written.score, writer.score_of(found))
        return [
            with_log_prob(step, float(log_prob))
            for step, log_prob in zip(steps, found[_TOKENS], strict=True)
        ]

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """What the model predicts, or for labelled rows what it makes of each row's token."""
        generated, label = inputs.pop(_GENERATED, None), inputs.pop(_LABEL, None)
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
        outputs.update(
            {
                LOG_LIKELIHOOD: search.log_probs,
                _TOKENS: search.token_log_probs,
            }
        )
        if search.logits is not None:
            outputs["logits"] = search.logits
        else:
            outputs["probs"] = search.all_log_probs.exp()
        return outputs

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        """The log-probability of the token that was predicted; nothing of another one."""
        return expected_log_prob(instance, _LABEL)

    def details(self, predictor: Predictor, outputs: Mapping[str, Any]) -> JsonDict:
        """Whether the text was drawn at random."""
        writer = writer_of(predictor._model)
        return {} if writer is None else generation_details(part(predictor._model, writer.search))

    def attach(self, model: Model) -> None:
        """As for others; the model names its layers."""
        super().attach(model)
        writer = writer_of(model)
        if writer is not None:
            own: Any = model
            own.text_layers = partial(writer.layers, model)


def _steps(writer: Writer, model: Model, instance: Instance, ids: Sequence[int]) -> list[Instance]:
    """One labelled instance per token, each with what the decoder reads before it."""
    indexer = TransformersIndexer(writer.tokenizer(model))
    tokens = [writer.token(model, instance, number) for number in ids]
    reads = [writer.start(model), *tokens]
    return [
        _step(writer, model, instance, reads[: place + 1], token, ids[: place + 1], indexer)
        for place, token in enumerate(tokens)
    ]


def _step(
    writer: Writer,
    model: Model,
    instance: Instance,
    reads: list[Token],
    token: Token,
    ids: Sequence[int],
    indexer: TransformersIndexer,
) -> Instance:
    *before, number = ids
    what = Explained({"label": token.text}, Step(number, tuple(before)), _LABEL)
    label = LabelField(number, writer.namespace(model), skip_indexing=True)
    source = _without_target(writer, instance)
    return explained(source, what, generated=TextField(reads, {"tokens": indexer}), label=label)


def _without_target(writer: Writer, instance: Instance) -> Instance:
    """An instance without the target that a reader gave it, which is not what is explained."""
    if not any(name in instance.fields for name in writer.targets):
        return instance
    kept = Instance({k: one for k, one in instance.fields.items() if k not in writer.targets})
    kept.indexed = instance.indexed
    return kept


def _check_score(writer: Writer, model: Model, predicted: float, found: float) -> None:
    """Raises where the tokens of a text do not have the score that the beam search gave it."""
    drawn = draws(part(model, writer.search))
    if not drawn and abs(predicted - found) > _SAME * max(abs(predicted), 1.0):
        raise InterpretationError(
            f"{type(model).__name__} predicted a text with the score {predicted:.6g}, and its "
            f"tokens one by one have {found:.6g}, so explanations of these would be of another "
            "number; the model's decoder depends on something else than its state"
        )


def _place(model: Model, path: str) -> tuple[Any, str]:
    """The module that has what stands at a path, and its name there."""
    owner, _, name = path.rpartition(".")
    return part(model, owner), name
