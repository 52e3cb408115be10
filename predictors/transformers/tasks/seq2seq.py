"""Sequence to sequence: each token after a source and the text so far."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from allennlp.data import DatasetReader, Instance
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import PrefixTargets, Windows

from ..generation.generation import GeneratingModel, request_of
from ..generation.greedy import target_tokens
from ..generation.predictor import GeneratingPredictor, GeneratingReader
from ..generation.spans import EXPLAIN
from ..generation.token_model import logits_of
from ..model.model import decoder_start
from ..texts.json_input import NUMBER, TEXT
from ..texts.token_sequence import TokenSequence, of_ids


@DatasetReader.register("transformers-seq2seq")
class TransformersSeq2SeqReader(GeneratingReader):
    """Reads `source`, and `target` or `max_new_tokens`."""

    #: The model that the texts are for; None for any, of which only the tokenizer is known.
    writer: "TransformersSeq2Seq | None" = None

    def text_to_instance(
        self,
        source: str,
        target: str | None = None,
        max_new_tokens: int | None = None,
        foil: str | None = None,
        changed_source: str | None = None,
        explain: Any = None,
        hops: int | None = None,
    ) -> Instance:
        """A source, and the text to explain.

        Args:
            source: The text that the encoder reads.
            target: The text to explain, as `target_tokens` tokenises it; None for what the model
                writes.
            max_new_tokens: How many tokens it may write at most.
            foil: Another target, for the target "foil-difference"; "runner-up" for the most
                probable other token in each place.
            changed_source: Another source, for the target "kl-divergence".
            explain: Which tokens are explained together, see `GeneratingPredictor`; None for what
                the predictor says.
            hops: As for the predictor, None for what that says.
        """
        transformer = None if self.writer is None else self.writer.transformer
        return self._request(
            "source",
            source,
            self._tokenizer.text,
            lambda text: target_tokens(self._tokenizer, text, transformer),
            target,
            max_new_tokens,
            foil,
            changed_source,
            explain,
            hops,
        )


@Model.register("transformers-seq2seq")
class TransformersSeq2Seq(GeneratingModel):
    """A Hugging Face model with an encoder and a decoder that predicts the next token.

    A source that is too long is read in windows.
    """

    task = "seq2seq"
    default_predictor = "transformers-seq2seq"
    prompt_field = "source"
    text_fields = ("source",)

    def at_targets(
        self, fields: Mapping[str, Any], targets: PrefixTargets
    ) -> tuple[Callable[[], Tensor], Tensor]:
        """At the tokens before the targets."""
        text, so_far = self.joined_texts(fields)
        return lambda: self._logits(text, so_far), targets.lengths - 1

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """What the encoder reads, and what the decoder does."""
        return [self.sequence_of(fields, name) for name in ("source", "generated")]

    def before_writing(self) -> list[Token]:
        """The token that the decoder starts from."""
        return [self._pieces.token(decoder_start(self.transformer))]

    def _logits(self, source: TokenSequence, so_far: TokenSequence) -> Tensor:
        """The next token's at every position of the decoder, `(rows, positions, vocabulary)`."""
        self.check_length(so_far.ids.shape[1])
        return self.run(source, decoder_input_ids=so_far.ids).logits

    def logits_after(self, before: TokenSequence, after: list[int]) -> Tensor:
        labels = torch.tensor(after, device=before.ids.device)
        start = labels.new_tensor([decoder_start(self.transformer)])
        ids = torch.cat([start, labels[:-1]]).unsqueeze(0)
        return logits_of(
            ids.shape[1] + 1,
            len(after),
            lambda: self._logits(before, of_ids(ids))[0],
            lambda number: self._logits(before, of_ids(ids[:, : number + 1]))[0, -1:],
            self._cache,
        )

    def windows_of(self, instance: Instance) -> Windows | None:
        """As any model's; what the decoder is to write is not cut.

        Raises:
            InterpretationError: If the decoder has fewer positions than tokens are asked for, or
                the source is too long, and that is not wanted.
        """
        asked = request_of(instance) if "request" in instance.fields else {}
        most = asked.get("max_new_tokens", 0)
        if most > self.most_tokens():
            source: Any = instance["source"]
            raise InterpretationError(
                f"max_new_tokens={most} is more than {type(self.transformer).__name__} can write "
                f"after a source of {len(source.tokens)} tokens: its decoder takes at most "
                f"{self.most_tokens():.0f}; ask for fewer"
            )
        return super().windows_of(instance)


@Predictor.register("transformers-seq2seq")
class TransformersSeq2SeqPredictor(GeneratingPredictor):
    """Reads `{"source": "…", "max_new_tokens": 8}` and explains what the model writes, token by
    token, or `{"source": "…", "target": "…"}` and explains that.

    There are two inputs: the source, and what the decoder read before the token. `foil` is another
    target, `changed_source` another source to compare with.
    """

    text_key = "source"
    changed_key = "changed_source"
    reads: ClassVar = {
        "source": TEXT,
        "target": replace(TEXT, elsewhere="continuation"),
        "max_new_tokens": NUMBER,
        "foil": TEXT,
        "changed_source": TEXT,
        "explain": EXPLAIN,
        "hops": NUMBER,
    }

    _model: TransformersSeq2Seq

    def __init__(
        self, model: Model, dataset_reader: DatasetReader, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(model, dataset_reader, *args, **kwargs)
        if isinstance(self._dataset_reader, TransformersSeq2SeqReader):
            # Targets begin as what this model writes does.
            self._change_reader(writer=self._model)
