"""Causal language models: each token after the text before it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar

import torch
from allennlp.data import DatasetReader, Instance
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import ExplainedInstance, PrefixTargets
from allennlp_saliency.interpret.model.embedding_layers import position_tables

from ..generation.blanks import lacks_blank
from ..generation.generation import GeneratingModel, request_of
from ..generation.predictor import GeneratingPredictor, GeneratingReader
from ..generation.shared_prefix import SharedPrefix, Sharing, shares_prefixes
from ..generation.spans import EXPLAIN
from ..generation.token_model import logits_of
from ..model.added_tokens import added_inputs, adds_tokens, with_added_tokens
from ..model.model import at_places
from ..texts.json_input import CHAT, NUMBER, TEXT
from ..texts.overlong import LongText, Spans
from ..texts.reader import Overlong, SourceTextField
from ..texts.token_sequence import TokenSequence, of_ids


@DatasetReader.register("transformers-causal-lm")
class TransformersCausalLMReader(GeneratingReader):
    """Reads `prompt` or `messages`, and `continuation` or `max_new_tokens`."""

    def text_to_instance(
        self,
        prompt: str | None = None,
        messages: Sequence[dict[str, Any]] | None = None,
        continuation: str | None = None,
        max_new_tokens: int | None = None,
        foil: str | None = None,
        changed_prompt: str | None = None,
        explain: Any = None,
        hops: int | None = None,
    ) -> Instance:
        """A prompt, and the text after it.

        Args:
            prompt: The text that the model continues; special tokens that the tokenizer puts
                first are not added again where it begins with them.
            messages: A chat in its place, `{"role": "user", "content": "…"}` each, written out
                by the tokenizer's chat template.
            continuation: The text to explain; None for what the model writes.
            max_new_tokens: How many tokens it may write at most.
            foil: Another continuation, for the target "foil-difference"; "runner-up" for the most
                probable other token in each place.
            changed_prompt: Another prompt, for the target "kl-divergence".
            explain: Which tokens are explained together, see `GeneratingPredictor`; None for what
                the predictor says.
            hops: As for the predictor, None for what that says.

        Raises:
            InterpretationError: If a prompt has no tokens.
        """
        if (prompt is None) == (messages is None):
            raise InterpretationError("give a text as 'prompt', or a chat as 'messages'")
        text = self.written_out(messages or ()) if prompt is None else prompt
        # A chat template writes special tokens itself.
        special = messages is None

        before = partial(self._prompt_tokens, special=special)
        after = partial(self._tokens_after, text, special)
        asked = continuation, max_new_tokens, foil, changed_prompt, explain, hops
        return self._request("prompt", text, before, after, *asked)

    def _prompt_tokens(self, text: str, special: bool) -> list[Token]:
        tokens = self._whole(text, special)
        if not tokens:
            raise InterpretationError(
                "the prompt has no tokens, and a language model has to start from one; give "
                f"it a text, or the tokenizer's {self.tokenizer.bos_token!r}"
            )
        return tokens

    def _tokens_after(self, text: str, special: bool, continuation: str) -> list[Token]:
        """As they are in one text with the prompt, where its tokens stay what they are."""
        own = self._whole(text, special)
        whole = self._whole(text + continuation, special)
        if [one.text_id for one in whole[: len(own)]] != [one.text_id for one in own]:
            return self._tokenizer.tokenize(continuation)
        return [_moved(token, len(text)) for token in whole[len(own) :]]

    def written_out(self, messages: Sequence[dict[str, Any]]) -> str:
        """A chat as the text that the model reads.

        A last message of the assistant is continued, as in transformers' pipelines.

        Raises:
            InterpretationError: If the tokenizer has no chat template, or it refuses the messages.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            raise InterpretationError(
                "the tokenizer has no chat template; give the text itself as 'prompt'"
            )
        if len(messages) == 0:
            raise InterpretationError("'messages' has no message to continue")
        goes_on = messages[-1].get("role") == "assistant"
        try:
            return self.tokenizer.apply_chat_template(
                list(messages),
                tokenize=False,
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
            )
        except Exception as error:
            # A template is a program, which may raise anything.
            raise InterpretationError(
                f"the tokenizer's chat template does not take these 'messages' "
                f"({type(error).__name__}: {error}); give the text itself as 'prompt'"
            ) from error

    def _whole(self, text: str, special: bool) -> list[Token]:
        """The tokens of a text, without the end of the text that some tokenizers add."""
        tokens = self._tokenizer.prompt(text) if special else self._tokenizer.tokenize(text)
        last = tokens[-1] if tokens else None
        ends = {self.tokenizer.eos_token_id, self.tokenizer.sep_token_id} - {None}
        starts = {self.tokenizer.bos_token_id, self.tokenizer.cls_token_id}
        if last is None or last.idx is not None or last.text_id not in ends:
            return tokens
        return tokens[:-1] if len(tokens) > 1 or last.text_id not in starts else tokens


@Model.register("transformers-causal-lm")
class TransformersCausalLM(GeneratingModel):
    """A Hugging Face model that predicts the next token.

    Of a text that is too long it reads the latest tokens that fit, of the prompt and of what was
    written.
    """

    task = "causal-lm"
    default_predictor = "transformers-causal-lm"
    prompt_field = "prompt"

    #: What texts that are run share with others, while `sharing_prefixes` is open.
    shared_prefix: SharedPrefix | None = None

    def at_targets(
        self, fields: Mapping[str, Any], targets: PrefixTargets
    ) -> tuple[Callable[[], Tensor], Tensor]:
        """At the tokens before the targets, or at the one that the model puts behind a text."""
        before = fields["prompt"]["tokens"]["mask"].sum(-1)
        return self._at(self._sequence(fields), before[targets.rows] + targets.lengths - 1)

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """The prompt and what was written after it as one sequence, with the tokens that the
        model puts behind it."""
        sequence = self._sequence(fields)
        return [with_added_tokens(self.transformer, sequence) if self._adds_tokens else sequence]

    def _sequence(self, fields: Mapping[str, Any]) -> TokenSequence:
        return self.sequence_of(fields, "prompt", "generated")

    @property
    def sees_padding(self) -> bool | None:
        """A model that puts tokens behind a text would put them behind its padding."""
        return True if self._adds_tokens else super().sees_padding

    @cached_property
    def _adds_tokens(self) -> bool:
        return adds_tokens(self.transformer)

    def whole_text(self, instance: Instance) -> Hashable:
        """As any model's that writes; None where the model adds tokens of its own behind the text
        so far."""
        return None if self._adds_tokens else super().whole_text(instance)

    def check_spans(self, instance: Instance) -> None:
        """Refuses a model that puts tokens of its own behind a text, which predict the next, and a
        text that is too long, of which each token is predicted after other tokens."""
        name = type(self.transformer).__name__
        if self._adds_tokens:
            reason = f"{name} predicts the token behind a text by one that it puts there"
        elif self.windows_of(instance) is not None:
            reason = f"of a text that is too long {name} reads other tokens before each one"
        else:
            return
        raise InterpretationError(
            f"{reason}, so several cannot be explained by one pass; explain each token by itself "
            '("explain": "token")'
        )

    def inputs(self, sequence: TokenSequence) -> dict[str, Any]:
        """As any model's; tokens are counted from 0, as `generate` counts them, also where a plain
        call counts them from the number of the padding on (RoBERTa)."""
        inputs = super().inputs(sequence)
        if self._counts_from_padding:
            positions = sequence.attention_mask.cumsum(-1) - 1
            inputs["position_ids"] = positions.clamp_min(0)
        return inputs

    @cached_property
    def _counts_from_padding(self) -> bool:
        tables = position_tables(self.transformer)
        return "position_ids" in self._takes and any(one.padding_idx is not None for one in tables)

    def _at(self, sequence: TokenSequence, places: Tensor) -> tuple[Callable[[], Tensor], Tensor]:
        """What runs the model, and where places of a sequence are in the logits of this."""
        if self._adds_tokens:
            whole = with_added_tokens(self.transformer, sequence)
            more = added_inputs(self.transformer, sequence)
            return lambda: self.run(whole, **more).logits[:, -1:], torch.zeros_like(places)
        if "logits_to_keep" not in self._takes:
            return lambda: self.run(sequence).logits, places
        # As an index, not as a number: of a slice the head would be multiplied row by row.
        kept, at = places.unique(return_inverse=True)
        shared = self.shared_prefix
        if shared is not None and not torch.is_grad_enabled():
            return lambda: shared.logits(self.inputs(sequence), kept), at
        return lambda: self.run(sequence, logits_to_keep=kept).logits, at

    def sharing_prefixes(self) -> AbstractContextManager[None]:
        """See `SharesPrefixes`; nothing is shared by a model that keeps no keys and values."""
        check = self._cache
        if check.shares is None:
            possible = not self._adds_tokens
            check.shares = possible and shares_prefixes(self.transformer, self._takes, self.call)
        return Sharing(self, SharedPrefix(self.transformer, self.call) if check.shares else None)

    def logits_after(self, before: TokenSequence, after: list[int]) -> Tensor:
        labels = torch.tensor(after, device=before.ids.device)
        ids = torch.cat([before.ids[0], labels]).unsqueeze(0)
        first = before.ids.shape[1]
        kept = {"logits_to_keep": len(after)} if "logits_to_keep" in self._takes else {}

        def together() -> Tensor:
            return self.run(of_ids(ids[:, :-1]), **kept).logits[0, -len(after) :]

        def alone(number: int) -> Tensor:
            sequence = of_ids(ids[:, : first + number])
            run, places = self._at(sequence, sequence.lengths - 1)
            return at_places(run(), places)

        whole = None if self._adds_tokens else together
        return logits_of(ids.shape[1], len(after), whole, alone, self._cache)

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The prompt, and what was written after it."""
        if "request" not in instance.fields:
            span: Any = instance.fields.get(self.span_field)
            beside = {} if span is None else {"the span": len(span.tokens) - 1}
            return ["prompt", "generated"], beside
        asked = request_of(instance)
        if "tokens" in asked:
            return ["prompt"], {"the continuation": len(asked["tokens"]) - 1}
        most = asked["max_new_tokens"]
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
        """The latest tokens that fit; those that the tokenizer adds before a prompt stay.

        Raises:
            InterpretationError: If none fits.
        """
        if len(texts) == 1:
            # What is asked for is written step by step; this is what the first step reads.
            room += sum(self.long_texts(instance)[1].values())
        if room < 1:
            raise InterpretationError("the model takes no more tokens than the tokenizer adds")
        spans: Spans = {}
        for text in reversed(texts):
            kept = min(text.length, room)
            room -= kept
            if kept < text.length:
                spans[text.name] = text.length - kept, text.length
        return [spans]


@Predictor.register("transformers-causal-lm")
class TransformersCausalLMPredictor(GeneratingPredictor):
    """Reads `{"prompt": "…", "max_new_tokens": 8}` and explains what the model writes, token by
    token, or `{"prompt": "…", "continuation": "…"}` and explains that. A chat is given as
    `{"messages": […]}`.

    There are two inputs: the prompt, and what was generated before the token. `foil` is another
    continuation, `changed_prompt` another prompt to compare with.
    """

    _dataset_reader: TransformersCausalLMReader
    text_key = "prompt"
    changed_key = "changed_prompt"
    reads: ClassVar = {
        "prompt": TEXT,
        "messages": replace(CHAT, unless="prompt"),
        "continuation": TEXT,
        "max_new_tokens": NUMBER,
        "foil": TEXT,
        "changed_prompt": TEXT,
        "explain": EXPLAIN,
        "hops": NUMBER,
    }

    def combined(
        self, instance: Instance, explained: Sequence[ExplainedInstance]
    ) -> Sequence[ExplainedInstance]:
        """As of any text that is generated; the first says where a blank may be missing."""
        found = [*super().combined(instance, explained)]
        asked, prompt = request_of(instance), instance["prompt"]
        if found and "tokens" in asked and isinstance(prompt, SourceTextField):
            tokens_of = partial(self._dataset_reader._tokens_after, prompt.source_text, False)
            warning = lacks_blank(prompt.source_text, asked["text"], tokens_of)
            if warning is not None:
                of, first = found[0]
                found[0] = of, replace(first, warnings=[*first.warnings, warning])
        return found


def _moved(token: Token, by: int) -> Token:
    if token.idx is None or token.idx_end is None:
        return token
    return replace(token, idx=max(token.idx - by, 0), idx_end=max(token.idx_end - by, 0))
