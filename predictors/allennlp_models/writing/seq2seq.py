"""Sequence-to-sequence models of allennlp-models: which words of the source, and of the text so
far, make this token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from allennlp.data import Instance
from allennlp.data.fields import LabelField, TextField
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.inputs.explained import (
    EXPLAINED,
    LOG_LIKELIHOOD,
    Explained,
    explained,
)
from allennlp_saliency.interpret.interpreter.predictor_labels import Forward

from ...transformers.texts.reader import TransformersIndexer
from ..hooks import replaced
from .forced_search import ForcedSearch
from .generation import LABEL, Choice, TokenLabels, with_log_probs
from .writers import Writer, part, writer_of

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
