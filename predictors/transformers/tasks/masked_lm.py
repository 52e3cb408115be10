"""Masked language models: the token in each gap."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.fields import IndexField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Windows

from ..generation.token_model import TokenModel, likelihood
from ..model.model import at_places
from ..model.outputs import check_positions
from ..predictor import TransformersPredictor, labelled
from ..texts.json_input import TEXT
from ..texts.overlong import LongText, Spans, window_around
from ..texts.reader import Overlong, TransformersReader


@DatasetReader.register("transformers-masked-lm")
class TransformersMaskedLMReader(TransformersReader):
    """Reads `sentence`, in which the tokenizer's mask token marks the gaps."""

    def text_to_instance(self, sentence: str) -> Instance:
        """A text with gaps.

        Args:
            sentence: The text.

        Raises:
            InterpretationError: If there is no gap in it.
        """
        tokens = self._tokenizer.text(sentence)
        mask = self.tokenizer.mask_token_id
        if mask is None or all(token.text_id != mask for token in tokens):
            raise InterpretationError(
                f"the text has no {self.tokenizer.mask_token!r}, so there is no gap to fill; put "
                "the tokenizer's mask token in the place of a word"
            )
        return Instance({"sentence": self.text_field(tokens, sentence)})


@Model.register("transformers-masked-lm")
class TransformersMaskedLM(TokenModel):
    """A Hugging Face model that predicts masked tokens."""

    task = "masked-lm"
    default_predictor = "transformers-masked-lm"

    def forward(
        self,
        sentence: TextFieldTensors,
        position: Tensor | None = None,
        label: Tensor | None = None,
    ) -> dict[str, Any]:
        """Fills the gaps of a batch, or predicts at one position.

        Args:
            sentence: The texts, indexed.
            position: `(rows, 1)`, the token to predict.
            label: `(rows,)`, the ids of these tokens.

        Returns:
            At given positions `logits`, `(rows, vocabulary)`, and with labels `loss`, the mean
            cross entropy. Else per row `positions` of the gaps, and of the best tokens there
            `token_ids`, `tokens` and `log_probs`.
        """
        (sequence,) = self.joined_texts({"sentence": sentence})
        logits = self.run(sequence).logits
        check_positions(logits, sequence.ids.shape[1], self.transformer)
        if position is None:
            return self._filled(logits, sentence["tokens"]["token_ids"])
        own = at_places(logits, position.view(-1)).float()
        return {"logits": own, **likelihood(own, label)}

    def number_of(self, instance: Instance, prediction: Mapping[str, Any]) -> int | None:
        """The number of the gap among those predicted; None if it is none of them."""
        (place,) = self._gaps(instance)
        found = list(prediction.get("positions", ()))
        return found.index(place) if place in found else None

    def spans(
        self, instance: Instance, texts: Sequence[LongText], room: int, wanted: Overlong
    ) -> list[Spans]:
        """Each gap is filled in a window of its own, which has it in the middle.

        Raises:
            InterpretationError: If all gaps are cut.
        """
        (text,) = texts
        if wanted.policy == "window" and room > 0:
            places = (place - text.head for place in self._gaps(instance))
            return [{text.name: window_around(text, room, (one, one + 1))} for one in places]
        spans = super().spans(instance, texts, room, wanted)
        if not set(text.places(spans[0][text.name])) & set(self._gaps(instance)):
            raise InterpretationError(
                f"all gaps of field {text.name!r} are in the part that is cut; read windows of it "
                "with overlong='window'"
            )
        return spans

    def merge_windows(
        self, instance: Instance, cut: Windows, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The token in each gap, from the gap's own window; gaps that were cut are left out."""
        gaps = self._gaps(instance)
        filled: dict[str, list[Any]] = {"positions": []}
        for number, (window, output) in enumerate(zip(cut.windows, outputs, strict=True)):
            places = [window.places["sentence"][place] for place in output["positions"]]
            for at, place in enumerate(places):
                if len(cut.windows) == 1 or place == gaps[number]:
                    filled["positions"].append(place)
                    for name in ("token_ids", "tokens", "log_probs"):
                        filled.setdefault(name, []).append(output[name][at])
        return filled

    def _gaps(self, instance: Instance) -> list[int]:
        """The tokens to predict: one at a given position, else all that are masked."""
        fields: Any = instance.fields
        if "position" in fields:
            return [fields["position"].sequence_index]
        mask = self._pieces.tokenizer.mask_token_id
        tokens = fields["sentence"].tokens
        return [place for place, token in enumerate(tokens) if token.text_id == mask]

    def _filled(self, logits: Tensor, ids: Tensor) -> dict[str, Any]:
        tokenizer = self._pieces.tokenizer
        gaps = [torch.nonzero(row == tokenizer.mask_token_id).flatten() for row in ids]
        pairs = zip(logits, gaps, strict=True)
        best = [row[at.to(row.device)].float().log_softmax(-1).max(-1) for row, at in pairs]
        return {
            "positions": [at.tolist() for at in gaps],
            "token_ids": [one.indices.tolist() for one in best],
            "tokens": [tokenizer.convert_ids_to_tokens(one.indices.tolist()) for one in best],
            "log_probs": [one.values.tolist() for one in best],
        }


@Predictor.register("transformers-masked-lm")
class TransformersMaskedLMPredictor(TransformersPredictor):
    """Reads `{"sentence": "… [MASK] …"}`; explains the best token of each gap."""

    reads: ClassVar = {"sentence": TEXT}

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """One instance per gap: `positions` and `token_ids` of the outputs."""
        instances = []
        for place, token in zip(outputs["positions"], outputs["token_ids"], strict=True):
            copied = labelled(instance, int(token))
            copied.add_field("position", IndexField(int(place), copied["sentence"]))  # type: ignore[arg-type]
            instances.append(copied)
        return instances
