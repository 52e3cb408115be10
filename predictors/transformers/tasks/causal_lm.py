"""Causal language models: why this token comes next."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import PrefixTargets
from allennlp_saliency.interpret.model.embedding_layers import position_tables
from allennlp_saliency.interpret.target.prediction_check import alike

from ..generation.generation import GeneratingPredictor, compared, likelihood, request
from ..generation.long_prompts import LatestTokens
from ..model.prepared_steps import added_inputs, adds_tokens, with_added_tokens
from ..texts.json_input import CHAT, NUMBER, TEXT
from ..texts.reader import TransformersReader
from ..texts.token_sequence import TokenSequence, joined, of_ids


@DatasetReader.register("transformers-causal-lm")
class TransformersCausalLMReader(TransformersReader):
    """Reads `prompt` or `messages`, and `continuation` or `max_new_tokens`."""

    def text_to_instance(
        self,
        prompt: str | None = None,
        messages: Sequence[dict[str, Any]] | None = None,
        continuation: str | None = None,
        max_new_tokens: int | None = None,
        foil: str | None = None,
        changed_prompt: str | None = None,
    ) -> Instance:
        """A prompt, and what is to come after it.

        Args:
            prompt: The text that the model goes on from; special tokens that the tokenizer puts
                first are not added again where it begins with them.
            messages: A chat in its place, `{"role": "user", "content": "…"}` each, written out
                by the tokenizer's chat template.
            continuation: The text to explain; None for what the model writes.
            max_new_tokens: How many tokens it may write at most.
            foil: Another continuation, for the target "foil-difference".
            changed_prompt: Another prompt, for the target "kl-divergence".

        Raises:
            InterpretationError: If a prompt has no tokens.
        """
        if (prompt is None) == (messages is None):
            raise InterpretationError("give a text as 'prompt', or a chat as 'messages'")
        chat = prompt is None
        text = self.written_out(messages or ()) if prompt is None else prompt
        # A chat template writes special tokens itself.
        before = self._before(text, not chat)
        after, other = (
            None if one is None else self._continuation(text, before, one, not chat)
            for one in (continuation, foil)
        )
        changed = None
        if changed_prompt is not None:
            changed = changed_prompt, self._before(changed_prompt, not chat)
        return Instance(
            {
                "prompt": self.text_field(before, text),
                "generated": self.text_field([], ""),
                "request": request(
                    after, continuation, max_new_tokens, foil=other, changed=changed
                ),
            }
        )

    def written_out(self, messages: Sequence[dict[str, Any]]) -> str:
        """A chat as the text that the model reads.

        A last message of the assistant is gone on with, as in transformers' pipelines.

        Raises:
            InterpretationError: If the tokenizer has no chat template, or it refuses the messages.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            raise InterpretationError(
                "the tokenizer has no chat template; give the text itself as 'prompt'"
            )
        if len(messages) == 0:
            raise InterpretationError("'messages' has no message to go on from")
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

    def _before(self, text: str, special: bool) -> list[Token]:
        tokens = self._whole(text, special)
        if not tokens:
            raise InterpretationError(
                "the prompt has no tokens, and a language model has to start from one; give it a "
                f"text, or the tokenizer's {self.tokenizer.bos_token!r}"
            )
        return tokens

    def _whole(self, text: str, special: bool) -> list[Token]:
        return self._open(
            self._tokenizer.prompt(text) if special else self._tokenizer.tokenize(text)
        )

    def _open(self, tokens: list[Token]) -> list[Token]:
        """The tokens without the end of the text that some tokenizers add."""
        ends = {self.tokenizer.eos_token_id, self.tokenizer.sep_token_id} - {None}
        starts = {self.tokenizer.bos_token_id, self.tokenizer.cls_token_id}
        last = tokens[-1] if tokens else None
        added = last is not None and last.idx is None and last.text_id in ends
        if added and (len(tokens) > 1 or (last is not None and last.text_id not in starts)):
            return tokens[:-1]
        return tokens

    def _continuation(
        self, prompt: str, before: list[Token], continuation: str, special: bool
    ) -> list[Token]:
        """The tokens after a prompt, as they are when both are one text, where its own tokens stay
        what they are alone."""
        whole = self._whole(prompt + continuation, special)
        count = len(before)
        same = [token.text_id for token in whole[:count]] == [token.text_id for token in before]
        if not same:
            return self._tokenizer.tokenize(continuation)
        return [_moved(token, len(prompt)) for token in whole[count:]]


@Model.register("transformers-causal-lm")
class TransformersCausalLM(LatestTokens):
    """A Hugging Face model that predicts the next token."""

    task = "causal-lm"
    default_predictor = "transformers-causal-lm"
    prompt_field = "prompt"

    def forward(
        self,
        prompt: TextFieldTensors,
        generated: TextFieldTensors,
        label: Tensor | None = None,
        request: list[Any] | None = None,
        foil: Tensor | None = None,
        reference: Tensor | None = None,
        prefix_targets: PrefixTargets | None = None,
    ) -> dict[str, Any]:
        """Predicts the next token, or writes a text.

        Args:
            prompt: The prompts, indexed.
            generated: The tokens after them so far, indexed.
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
            return self._written(prompt, request)
        sequence = self._sequence({"prompt": prompt, "generated": generated})
        if prefix_targets is None:
            outputs: dict[str, Any] = {"logits": self._last_logits(sequence)}
        else:
            rows = prefix_targets.rows
            before = prompt["tokens"]["mask"].sum(-1)
            places = before[rows] + prefix_targets.lengths - 1
            outputs = self._logits_at(sequence, rows, places)
        outputs.update(compared(foil, reference))
        outputs.update(likelihood(outputs["logits"], label))
        return outputs

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """The prompt and what was written after it as one sequence, with the tokens that the
        model puts behind it."""
        sequence = self._sequence(fields)
        return [with_added_tokens(self.transformer, sequence) if self._adds_tokens else sequence]

    def _sequence(self, fields: Mapping[str, Any]) -> TokenSequence:
        given = {name: fields[name] for name in ("prompt", "generated")}
        return replace(joined(given, self.padding_id), types=None)

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

    def _last_logits(self, sequence: TokenSequence) -> Tensor:
        if self._adds_tokens:
            whole = with_added_tokens(self.transformer, sequence)
            more = added_inputs(self.transformer, sequence)
            return self.run(whole, **more).logits[:, -1].float()
        return self._logits(sequence, torch.arange(len(sequence.ids)), sequence.lengths - 1).float()

    def _logits_at(self, sequence: TokenSequence, rows: Tensor, places: Tensor) -> dict[str, Any]:
        """At several places of each row."""
        if "logits_to_keep" not in self._takes:
            return self.read(lambda: self.run(sequence).logits, rows, places)
        kept, at = places.unique(return_inverse=True)
        return self.read(lambda: self.run(sequence, logits_to_keep=kept).logits, rows, at)

    def _logits(self, sequence: TokenSequence, rows: Tensor, places: Tensor) -> Tensor:
        """The logits at a place of each row, `(rows, vocabulary)`."""
        rows = rows.to(places.device)
        if "logits_to_keep" not in self._takes:
            return self.run(sequence).logits[rows, places]
        # As an index, not as a number: of a slice the head would be multiplied row by row.
        kept, at = places.unique(return_inverse=True)
        return self.run(sequence, logits_to_keep=kept).logits[rows, at]

    def _written(self, prompt: TextFieldTensors, requests: list[Any]) -> dict[str, Any]:
        ids, mask = prompt["tokens"]["token_ids"], prompt["tokens"]["mask"]
        order = torch.argsort(mask.long(), dim=-1, stable=True)
        return self.write(
            requests,
            lambda row, after: self._log_probs(ids[row, mask[row]], after),
            input_ids=ids.gather(1, order),
            attention_mask=mask.gather(1, order).long(),
        )

    def _log_probs(self, before: Tensor, after: list[int]) -> list[float]:
        """Of each token after a prompt its log-probability there."""
        labels = torch.tensor(after, device=before.device)
        ids = torch.cat([before, labels]).unsqueeze(0)
        ends = range(len(before), ids.shape[1])
        first = self._last_logits(of_ids(ids[:, : len(before)]))
        if not self._adds_tokens:
            kept = {"logits_to_keep": len(after)} if "logits_to_keep" in self._takes else {}
            logits = self.run(of_ids(ids[:, :-1]), **kept).logits[0, -len(after) :].float()
        if self._adds_tokens or not alike(logits[:1], first):
            # A model that looks ahead predicts each token from what comes before it alone.
            logits = torch.cat([self._last_logits(of_ids(ids[:, :end])) for end in ends])
        return logits.log_softmax(-1).gather(1, labels.unsqueeze(1)).squeeze(1).tolist()


@Predictor.register("transformers-causal-lm")
class TransformersCausalLMPredictor(GeneratingPredictor):
    """Reads `{"prompt": "…", "max_new_tokens": 8}` and explains what the model writes, token by
    token, or `{"prompt": "…", "continuation": "…"}` and explains that. A chat is given as
    `{"messages": […]}`.

    There are two inputs: the prompt, and what was generated before the token. `foil` is another
    continuation, `changed_prompt` another prompt to compare with.
    """

    changes = "prompt"
    reads: ClassVar = {
        "prompt": TEXT,
        "messages": replace(CHAT, unless="prompt"),
        "continuation": TEXT,
        "max_new_tokens": NUMBER,
        "foil": TEXT,
        "changed_prompt": TEXT,
    }


def _moved(token: Token, by: int) -> Token:
    if token.idx is None or token.idx_end is None:
        return token
    return replace(token, idx=max(token.idx - by, 0), idx_end=max(token.idx_end - by, 0))
