"""Models that write after a text which is too long for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from allennlp.data import Instance

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Windows
from allennlp_saliency.interpret.interpreter.windows import describe_windows

from ..texts.long_texts import Spans, mean_probabilities
from ..texts.overlong import LongText, Overlong
from ..texts.source_text import SourceTextField
from .generation import GeneratingModel
from .greedy import Written, end_ids, forced_start


class WritesAfterLongTexts(GeneratingModel):
    """A model whose next token is the best by the mean of the probabilities over the windows.

    Text is written token by token, each after the windows of the text before it; then of the
    model's generation config the first token of an encoder-decoder counts, and the ends.
    """

    def forward_on_instances(self, instances: list[Instance]) -> list[dict[str, Any]]:
        """As any model's; text that is to follow a text that is too long is written in windows."""
        cut = [
            self.windows_of(instance) if "request" in instance.fields else None
            for instance in instances
        ]
        short = [one for one, windows in zip(instances, cut, strict=True) if windows is None]
        found = iter(super().forward_on_instances(short) if short else [])
        return [
            next(found) if windows is None else self._asked(instance, windows)
            for instance, windows in zip(instances, cut, strict=True)
        ]

    def merge_windows(
        self, instance: Instance, cut: Windows, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """`logits` that give the mean over the windows of the next token's probabilities."""
        return {"logits": mean_probabilities(outputs).clamp_min(1e-30).log().float().numpy()}

    def _asked(self, instance: Instance, cut: Windows) -> dict[str, Any]:
        request: Any = instance["request"]
        metadata = request.metadata
        if "tokens" in metadata:
            given = [token.text_id for token in metadata["tokens"]]
            steps = [self._step(instance, given[:number]) for number in range(len(given))]
            logits = [one["logits"] for one in self.forward_on_instances(steps)]
        else:
            given, logits = self._written_in_windows(instance, metadata["max_new_tokens"])
        log_probs = [
            float(torch.as_tensor(row).log_softmax(-1)[number])
            for row, number in zip(logits, given, strict=True)
        ]
        outputs = self.generated([Written(given, log_probs)])
        return {
            **{name: rows[0] for name, rows in outputs.items()},
            "overlong": describe_windows(cut, instance),
        }

    def _written_in_windows(self, instance: Instance, most: int) -> tuple[list[int], list[Any]]:
        ends = end_ids(self.transformer)
        first = forced_start(self.transformer) if self.config.is_encoder_decoder else None
        written: list[int] = []
        logits: list[Any] = []
        while len(written) < most and not (written and written[-1] in ends):
            (output,) = self.forward_on_instances([self._step(instance, written)])
            logits.append(output["logits"])
            best = int(output["logits"].argmax())
            written.append(best if written or first is None else first)
        return written, logits

    def _step(self, instance: Instance, ids: Sequence[int]) -> Instance:
        (name,) = {"prompt", "source"} & set(instance.fields)
        before: Any = instance[name]
        tokens = [*self.before_writing(), *map(self._pieces.token, ids)]
        generated = SourceTextField(tokens, before.token_indexers, "", before.overlong)
        return Instance({name: before, "generated": generated})


class LatestTokens(WritesAfterLongTexts):
    """A model that reads the latest tokens that fit, of the prompt and of what was written."""

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The prompt, and what was written after it."""
        if "request" not in instance.fields:
            return ["prompt", "generated"], {}
        request: Any = instance["request"]
        metadata = request.metadata
        if "tokens" in metadata:
            return ["prompt"], {"the continuation": len(metadata["tokens"]) - 1}
        most = metadata["max_new_tokens"]
        # The last token is written, never read.
        return ["prompt"], {f"max_new_tokens={most} makes it read": most - 1}

    def long_text(self, name: str, field: Any) -> LongText:
        """A text field that may be cut; what was written has nothing that the tokenizer adds.

        Where the latest tokens are read no step reads a prefix of what another reads.
        """
        if name == "generated":
            return LongText(name, field, 0, 0, shared=False)
        return replace(super().long_text(name, field), shared=False)

    def spans(
        self, instance: Instance, texts: Sequence[LongText], room: int, wanted: Overlong
    ) -> list[Spans]:
        """The latest tokens that fit; those that the tokenizer adds before a prompt stay."""
        if len(texts) == 1:
            # What is asked for is written step by step; this is what the first step reads.
            _, beside = self.long_texts(instance)
            room += sum(beside.values())
        return [_latest(texts, room)]


class WindowsOfSource(WritesAfterLongTexts):
    """A model whose encoder reads a source in windows."""

    def windows_of(self, instance: Instance) -> Windows | None:
        """As any model's; what the decoder is to write is not cut.

        Raises:
            InterpretationError: If the decoder has fewer positions than tokens are asked for, or
                the source is too long, and that is not wanted.
        """
        request: Any = instance.fields.get("request")
        most = 0 if request is None else request.metadata.get("max_new_tokens", 0)
        if most > self.most_tokens():
            source: Any = instance["source"]
            raise InterpretationError(
                f"max_new_tokens={most} is more than {type(self.transformer).__name__} can write "
                f"after a source of {len(source.tokens)} tokens: its decoder takes at most "
                f"{self.most_tokens():.0f}; ask for fewer"
            )
        return super().windows_of(instance)

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The source."""
        return ["source"], {}


def _latest(texts: Sequence[LongText], room: int) -> Spans:
    """The last tokens of several texts in a row.

    Raises:
        InterpretationError: If none fits.
    """
    if room < 1:
        raise InterpretationError("the model takes no more tokens than the tokenizer adds")
    spans: Spans = {}
    for text in reversed(texts):
        kept = min(text.length, room)
        room -= kept
        if kept < text.length:
            spans[text.name] = text.length - kept, text.length
    return spans
