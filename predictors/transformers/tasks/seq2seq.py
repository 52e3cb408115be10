"""Sequence to sequence: which words of the source, and of the text so far, make this token."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret.contracts import PrefixTargets
from allennlp_saliency.interpret.target.prediction_check import alike

from ..generation.generation import GeneratingPredictor, compared, likelihood, request
from ..generation.long_prompts import WindowsOfSource
from ..generation.target_text import DecoderIds, target_tokens
from ..model.model import at_places, decoder_start
from ..texts.json_input import NUMBER, TEXT
from ..texts.reader import TransformersReader
from ..texts.token_sequence import TokenSequence, joined, of_ids


@DatasetReader.register("transformers-seq2seq")
class TransformersSeq2SeqReader(TransformersReader):
    """Reads `source`, and `target` or `max_new_tokens`."""

    #: The model that the texts are for; None for any, of which only the tokenizer is known.
    writer: "TransformersSeq2Seq | None" = None

    def of_model(self, writer: "TransformersSeq2Seq") -> "TransformersSeq2SeqReader":
        """A reader of texts for one model: targets begin as what this one writes does."""
        own = copy.copy(self)
        own.writer = writer
        return own

    def decoder(self) -> DecoderIds:
        """What is known of the texts that the model's decoder writes."""
        return DecoderIds() if self.writer is None else DecoderIds.of(self.writer.transformer)

    def text_to_instance(
        self,
        source: str,
        target: str | None = None,
        max_new_tokens: int | None = None,
        foil: str | None = None,
        changed_source: str | None = None,
    ) -> Instance:
        """A source, and what is to be made of it.

        Args:
            source: The text that the encoder reads.
            target: The text to explain, as `target_tokens` tokenises it; None for what the model
                writes.
            max_new_tokens: How many tokens it may write at most.
            foil: Another target, for the target "foil-difference".
            changed_source: Another source, for the target "kl-divergence".
        """
        decoder = self.decoder()
        after, other = (
            None if one is None else target_tokens(self._tokenizer, one, decoder)
            for one in (target, foil)
        )
        changed = None
        if changed_source is not None:
            changed = changed_source, self._tokenizer.text(changed_source)
        return Instance(
            {
                "source": self.text_field(self._tokenizer.text(source), source),
                "generated": self.text_field([], ""),
                "request": request(after, target, max_new_tokens, foil=other, changed=changed),
            }
        )


@Model.register("transformers-seq2seq")
class TransformersSeq2Seq(WindowsOfSource):
    """A Hugging Face model with an encoder and a decoder that predicts the next token."""

    task = "seq2seq"
    default_predictor = "transformers-seq2seq"
    prompt_field = "source"

    def forward(
        self,
        source: TextFieldTensors,
        generated: TextFieldTensors,
        label: Tensor | None = None,
        request: list[Any] | None = None,
        foil: Tensor | None = None,
        reference: Tensor | None = None,
        prefix_targets: PrefixTargets | None = None,
    ) -> dict[str, Any]:
        """Predicts the next token, or writes a text.

        Args:
            source: The sources, indexed.
            generated: What the decoder reads: the token that it starts from, and what it wrote.
            label: `(rows,)`, the ids of the next tokens.
            request: Per row what to write; see `generation.request`.
            foil: `(rows,)`, the ids of tokens to compare with.
            reference: `(rows, vocabulary)`, log-probabilities to compare with.
            prefix_targets: Which tokens of each row to predict; None for the one after it.

        Returns:
            `logits`, `(rows, vocabulary)`, and with labels `loss`, the mean cross entropy. Where
            text is asked for, per row `text`, `tokens`, `token_ids` and `log_probs`.
        """
        if request is not None and label is None:
            return self._written(source, request)
        text, so_far = self.joined_texts({"source": source, "generated": generated})
        if prefix_targets is None:
            logits = at_places(self._logits(text, so_far), so_far.lengths - 1).float()
            outputs: dict[str, Any] = {"logits": logits}
        else:
            rows, places = prefix_targets.rows, prefix_targets.lengths - 1
            outputs = self.read(lambda: self._logits(text, so_far), rows, places)
        outputs.update(compared(foil, reference))
        outputs.update(likelihood(outputs["logits"], label))
        return outputs

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """What the encoder reads, and what the decoder does."""
        return [self._text(name, fields[name]) for name in ("source", "generated")]

    def _text(self, name: str, text: TextFieldTensors) -> TokenSequence:
        return replace(joined({name: text}, self.padding_id), types=None)

    def start(self) -> int:
        """The id that the decoder starts from."""
        return decoder_start(self.transformer)

    def before_writing(self) -> list[Token]:
        """The token that the decoder starts from."""
        return [self._pieces.token(self.start())]

    def _logits(self, source: TokenSequence, so_far: TokenSequence) -> Tensor:
        """The next token's at every position of the decoder, `(rows, positions, vocabulary)`."""
        self.check_length(so_far.ids.shape[1])
        return self.run(source, decoder_input_ids=so_far.ids).logits

    def _written(self, source: TextFieldTensors, requests: list[Any]) -> dict[str, Any]:
        ids, mask = source["tokens"]["token_ids"], source["tokens"]["mask"]
        text = self._text("source", source)
        return self.write(
            requests,
            lambda row, after: self._log_probs(text.row(row), after),
            input_ids=ids,
            attention_mask=mask.long(),
        )

    def _log_probs(self, source: TokenSequence, after: list[int]) -> list[float]:
        """Of each token of a target its log-probability there."""
        labels = torch.tensor(after, device=source.ids.device)
        start = torch.tensor([self.start()], device=source.ids.device)
        ids = torch.cat([start, labels[:-1]]).unsqueeze(0)
        logits = self._logits(source, of_ids(ids))[0].float()
        if not alike(logits[:1], self._logits(source, of_ids(ids[:, :1]))[0].float()):
            # A model that looks ahead predicts each token from what comes before it alone.
            ends = range(1, ids.shape[1] + 1)
            each = [self._logits(source, of_ids(ids[:, :end]))[0, -1:] for end in ends]
            logits = torch.cat(each).float()
        return logits.log_softmax(-1).gather(1, labels.unsqueeze(1)).squeeze(1).tolist()


@Predictor.register("transformers-seq2seq")
class TransformersSeq2SeqPredictor(GeneratingPredictor):
    """Reads `{"source": "…", "max_new_tokens": 8}` and explains what the model writes, token by
    token, or `{"source": "…", "target": "…"}` and explains that.

    There are two inputs: the source, and what the decoder read before the token. `foil` is another
    target, `changed_source` another source to compare with.
    """

    changes = "source"
    reads: ClassVar = {
        "source": TEXT,
        "target": replace(TEXT, elsewhere="continuation"),
        "max_new_tokens": NUMBER,
        "foil": TEXT,
        "changed_source": TEXT,
    }

    _model: TransformersSeq2Seq

    def __init__(
        self, model: Model, dataset_reader: DatasetReader, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(model, dataset_reader, *args, **kwargs)
        if isinstance(self._dataset_reader, TransformersSeq2SeqReader):
            self._dataset_reader = self._dataset_reader.of_model(self._model)

    def start(self) -> list[Token]:
        """The token that a decoder starts from."""
        reader: Any = self._dataset_reader
        return [reader._tokenizer.token(self._model.start())]
