"""Models that generate texts token by token."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from math import fsum
from typing import Any, ClassVar

import torch
from allennlp.data import Instance, TextFieldTensors
from allennlp.data.fields import MetadataField
from allennlp.data.tokenizers import Token
from torch import Tensor, nn

from allennlp_saliency.interpret.contracts import Expected, PrefixTargets, Windows
from allennlp_saliency.interpret.inputs.explained import (
    EXPLAINED,
    LOG_LIKELIHOOD,
    PROBABILITY,
    Explained,
)
from allennlp_saliency.interpret.interpreter.windows import describe_windows
from allennlp_saliency.interpret.model.hooks import inputs_of, state_kept
from allennlp_saliency.interpret.target.prediction_check import alike

from ..model.model import at_places
from ..texts.long_texts import mean_probabilities
from ..texts.reader import SourceTextField
from ..texts.token_sequence import TokenSequence, joined
from .greedy import Written, check_most, end_ids, forced_start, greedy, writing_config
from .spans import text_of
from .token_model import TokenModel, likelihood


class GeneratingModel(TokenModel):
    """A model that writes a text, token by token.

    All tokens of a generated text can be explained by one forward pass; see `SupportsPrefixes`.

    After a text that is too long each next token is the best by the mean of the probabilities over
    the windows of the text before it; then of the model's generation config the first token of an
    encoder-decoder counts, and the ends.
    """

    generated_field = "generated"
    predicts_together = False
    #: The text field of tokens that are explained together, behind what was generated before them.
    span_field: ClassVar[str] = "span"
    #: The text field that stands before what is generated.
    prompt_field: ClassVar[str]

    def forward(  # type: ignore[override]
        self,
        generated: TextFieldTensors,
        label: Tensor | None = None,
        request: list[Any] | None = None,
        foil: Tensor | None = None,
        reference: Tensor | None = None,
        prefix_targets: PrefixTargets | None = None,
        span: TextFieldTensors | None = None,
        explained: list[Any] | None = None,
        **before: TextFieldTensors,
    ) -> dict[str, Any]:
        """Predicts the next token, or writes a text.

        Args:
            generated: The tokens so far, indexed; a decoder's begin with what it starts from.
            label: `(rows,)`, the ids of the next tokens.
            request: Per row a request; see `GeneratingReader`.
            foil: `(rows,)`, the ids of tokens to compare with; of a span `(rows, tokens)`.
            reference: `(rows, vocabulary)`, log-probabilities to compare with.
            prefix_targets: Which tokens of each row to predict; None for the one after it.
            span: Tokens behind those so far whose log-probabilities are added up, indexed.
            explained: What is explained of each row, for explanations only.
            before: The prompts or sources, indexed: `prompt` or `source`.

        Returns:
            `logits`, `(rows, vocabulary)`, and with labels `loss`, the mean cross entropy. Where
            text is asked for, per row `text`, `tokens`, `token_ids` and `log_probs`. Of a span
            `log_probs`, `(rows,)`, and with a foil `span_difference`, `(rows,)`, what the logits of
            its tokens have more than the foil's.
        """
        if request is not None and label is None:
            return self._written(before[self.prompt_field], request)
        if span is not None:
            return self._of_span({**before, "generated": generated, "span": span}, foil)
        mask = generated["tokens"]["mask"]
        rows = torch.arange(len(mask), device=mask.device)
        targets = prefix_targets or PrefixTargets(rows, mask.sum(-1))
        run, places = self.at_targets({**before, "generated": generated}, targets)
        if prefix_targets is None:
            outputs: dict[str, Any] = {"logits": at_places(run(), places).float()}
        else:
            transformer: Any = self.transformer
            with inputs_of(transformer.get_output_embeddings()) as states:
                logits = run()[targets.rows, places].float()
            outputs = {"logits": logits, "states": states[0], "places": (targets.rows, places)}
        compared = {"foil": foil, "reference_log_probs": reference}
        outputs.update({name: value for name, value in compared.items() if value is not None})
        return {**outputs, **likelihood(outputs["logits"], label)}

    def _of_span(self, fields: Mapping[str, Any], foil: Tensor | None) -> dict[str, Any]:
        """The outputs for spans: all tokens of one by the same pass, each after those before it."""
        span = fields["span"]["tokens"]
        rows, places = span["mask"].nonzero(as_tuple=True)
        lengths = fields["generated"]["tokens"]["mask"].sum(-1)[rows] + places
        run, at = self.at_targets(fields, PrefixTargets(rows, lengths))
        logits = run()[rows, at].float()

        def summed(values: Tensor, ids: Tensor) -> Tensor:
            """The sum over each row's tokens of the values of some ids, `(rows,)`."""
            own = values.gather(1, ids[rows, places].unsqueeze(1)).squeeze(1)
            return values.new_zeros(len(span["mask"])).index_add(0, rows.to(own.device), own)

        own = summed(logits.log_softmax(-1), span["token_ids"])
        outputs = {"log_probs": own, LOG_LIKELIHOOD: own, PROBABILITY: own.exp()}
        if foil is not None:
            outputs["span_difference"] = summed(logits, span["token_ids"]) - summed(logits, foil)
        return outputs

    def sequence_of(self, fields: Mapping[str, Any], *names: str) -> TokenSequence:
        """Text fields one after the other, and where `generated` is the last of them the tokens of
        the span behind it, but for the last, which is written and not read."""
        given = {name: fields[name] for name in names}
        span = fields.get("span") if names[-1] == "generated" else None
        if span is None:
            return replace(joined(given, self.padding_id), types=None)
        tensors = span["tokens"]
        mask = tensors["mask"]
        read = mask & (mask.long().cumsum(-1) < mask.sum(-1, keepdim=True))
        given["span"] = {"tokens": {**tensors, "mask": read}}
        return replace(joined(given, self.padding_id).held("span"), types=None)

    def at_targets(
        self, fields: Mapping[str, Any], targets: PrefixTargets
    ) -> tuple[Callable[[], Tensor], Tensor]:
        """What runs the model on text fields, and the place before each target in the logits,
        `(rows, places, vocabulary)`, that this returns."""
        raise NotImplementedError

    @property
    def backbone(self) -> nn.Module | None:
        """None: writing calls the model token by token."""
        return None

    def whole_text(self, instance: Instance) -> Hashable:
        """The identity of the field that all steps of one generation continue; None for a span,
        which has a row of its own."""
        if self.span_field in instance.fields:
            return None
        return id(instance.fields[self.prompt_field])

    def number_of(self, instance: Instance, prediction: Mapping[str, Any]) -> int | None:
        """The number of tokens that were generated before it."""
        generated: Any = instance["generated"]
        return len(generated.tokens) - len(self.before_writing())

    def expected_outputs(self, instance: Instance, prediction: Mapping[str, Any]) -> Expected:
        """As for any token; for a span the sum of the log-probabilities that were predicted."""
        span: Any = instance.fields.get(self.span_field)
        log_probs = prediction.get("log_probs")
        if span is None or log_probs is None:
            return super().expected_outputs(instance, prediction)
        first = self.number_of(instance, prediction) or 0
        ids = [token.text_id for token in span.tokens]
        own = slice(first, first + len(ids))
        same = list(prediction.get("token_ids", ())[own]) == ids
        return {"log_probs": fsum(log_probs[own])} if same else {}

    def places_of(self, instance: Instance) -> range:
        """The numbers of the generated tokens that a labelled instance is of."""
        first = self.number_of(instance, {}) or 0
        span: Any = instance.fields.get(self.span_field)
        return range(first, first + (1 if span is None else len(span.tokens)))

    def known_causal(self, length: int) -> bool:
        """Whether it was seen that tokens are not predicted by those behind them, in a text of at
        least so many: that depends on the model, and for some on how long a text is."""
        return length <= self._cache.causal

    def check_spans(self, instance: Instance) -> None:
        """Refuses an instance whose generated tokens cannot be explained together.

        Raises:
            InterpretationError: If the model needs a pass for each token.
        """

    def before_writing(self) -> list[Token]:
        """The tokens that stand before the first generated one in its field."""
        return []

    def step(self, instance: Instance, generated: Sequence[Token], text: str = "") -> Instance:
        """An instance that asks for the token after some generated ones.

        Args:
            instance: The instance whose prompt or source it reads.
            generated: The tokens so far.
            text: The complete generated text.
        """
        before: Any = instance[self.prompt_field]
        tokens = [*self.before_writing(), *generated]
        so_far = SourceTextField(tokens, before.token_indexers, text, before.overlong)
        return Instance({self.prompt_field: before, "generated": so_far})

    def span_step(
        self,
        instance: Instance,
        generated: Sequence[Token],
        span: tuple[int, int],
        text: str,
        choice: Any = None,
    ) -> Instance:
        """An instance that stands for a span of generated tokens.

        Args:
            instance: The instance whose prompt or source it reads.
            generated: The generated tokens.
            span: The numbers of the first token of the span and of the one behind it.
            text: The complete generated text.
            choice: `choice` of what it says of itself, see `Explained`.
        """
        first, end = span
        step = self.step(instance, generated[:first], text)
        before: Any = instance[self.prompt_field]
        own = list(generated[first:end])
        step.add_field("span", SourceTextField(own, before.token_indexers, text, before.overlong))
        label = {"label": text_of(own, text), "positions": list(range(first, end))}
        step.add_field(EXPLAINED, MetadataField(Explained(label, choice)))
        return step

    def _written(self, text: TextFieldTensors, requests: list[Any]) -> dict[str, Any]:
        """The text after each row of a text field: a given one, or the model's own, greedily. Rows
        that may be of different lengths are written in batches of their own, as some models see
        padding while they write, and a generation config may end texts at their longest."""
        sequence = replace(joined({self.prompt_field: text}, self.padding_id), types=None)
        lengths, mask = sequence.lengths.tolist(), sequence.attention_mask
        # Behind an end that is no token, `generate` pads as if that were text.
        alone = bool(getattr(writing_config(self.transformer), "stop_strings", None))
        written: dict[int, Written] = {}
        batches: dict[tuple[int, int, int | None], list[int]] = {}
        for row, one in enumerate(requests):
            if "tokens" in one:
                ids = [token.text_id for token in one["tokens"]]
                written[row] = Written(ids, self._log_probs(sequence.row(row), ids))
            else:
                key = one["max_new_tokens"], lengths[row], row if alone else None
                batches.setdefault(key, []).append(row)
        for (most, length, _), rows in batches.items():
            decodes = self.config.is_encoder_decoder
            self.check_length(max(length, most) if decodes else length + most - 1)
            inputs = {
                "input_ids": sequence.ids[rows, :length],
                "attention_mask": mask[rows, :length],
            }
            with state_kept(self.transformer):
                found = greedy(self.transformer, self._pieces.tokenizer, most, **inputs)
            for row, one in zip(rows, found, strict=True):
                written[row] = self._scored(sequence.row(row), one)
        return self._generated([written[row] for row in range(len(requests))])

    def logits_after(self, before: TokenSequence, after: list[int]) -> Tensor:
        """The logits in the place of each token after a text, `(tokens, vocabulary)`, without a
        cache."""
        raise NotImplementedError

    def _log_probs(self, before: TokenSequence, after: list[int]) -> list[float]:
        logits = self.logits_after(before, after)
        return likelihood(logits, torch.tensor(after, device=logits.device))["log_probs"].tolist()

    def _scored(self, before: TokenSequence, written: Written) -> Written:
        """A text with the log-probabilities that the model gives it without a cache, which are
        explained. Most models give the same with one, which the first text of several tokens
        shows."""
        cached = written.log_probs
        if cached is not None and (self._cache.same or len(written.ids) < 2):
            return written
        own = self._log_probs(before, written.ids)
        if self._cache.same is None and cached is not None:
            self._cache.same = alike(torch.tensor(cached), torch.tensor(own))
        return written if self._cache.same and cached is not None else Written(written.ids, own)

    def text_of_ids(self, ids: Sequence[int]) -> str:
        """The text of some tokens, special ones included."""
        return self._pieces.decode(ids)

    def _generated(self, written: Sequence[Written]) -> dict[str, Any]:
        names = self._pieces.tokenizer.convert_ids_to_tokens
        ids = [one.ids for one in written]
        return {
            "text": [self._pieces.decode(row) for row in ids],
            "tokens": [names(list(row)) for row in ids],
            "token_ids": [list(row) for row in ids],
            "log_probs": [one.log_probs for one in written],
        }

    def forward_on_instances(self, instances: list[Instance]) -> list[dict[str, Any]]:
        """As any model's; text that is to follow a text that is too long is written in windows.

        Raises:
            InterpretationError: If more tokens are asked for than anybody waits for.
        """
        cut = [self.windows_of(one) if "request" in one.fields else None for one in instances]
        for one in instances:
            check_most(request_of(one) if "request" in one.fields else {}, self.config)
        short = [one for one, windows in zip(instances, cut, strict=True) if windows is None]
        found = iter(super().forward_on_instances(short) if short else [])
        return [
            next(found) if windows is None else self._after_windows(instance, windows)
            for instance, windows in zip(instances, cut, strict=True)
        ]

    def merge_windows(
        self, instance: Instance, cut: Windows, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """`logits` that give the mean over the windows of the next token's probabilities."""
        return {"logits": mean_probabilities(outputs).clamp_min(1e-30).log().float().numpy()}

    def _after_windows(self, instance: Instance, cut: Windows) -> dict[str, Any]:
        asked = request_of(instance)
        if "tokens" in asked:
            ids = [token.text_id for token in asked["tokens"]]
            steps = [self.step(instance, asked["tokens"][:number]) for number in range(len(ids))]
            logits = [one["logits"] for one in self.forward_on_instances(steps)]
        else:
            ids, logits = self._written_in_windows(instance, asked["max_new_tokens"])
        log_probs = [
            float(torch.as_tensor(row).log_softmax(-1)[number])
            for row, number in zip(logits, ids, strict=True)
        ]
        outputs = self._generated([Written(ids, log_probs)])
        return {name: rows[0] for name, rows in outputs.items()} | {
            "overlong": describe_windows(cut, instance)
        }

    def _written_in_windows(self, instance: Instance, most: int) -> tuple[list[int], list[Any]]:
        first = forced_start(self.transformer) if self.config.is_encoder_decoder else None
        written: list[int] = []
        logits: list[Any] = []
        while len(written) < most and not {*written[-1:]} & {*end_ids(self.transformer)}:
            step = self.step(instance, [*map(self._pieces.token, written)])
            logits.append(self.forward_on_instances([step])[0]["logits"])
            best = int(logits[-1].argmax())
            written.append(best if written or first is None else first)
        return written, logits


def request_of(instance: Instance) -> dict[str, Any]:
    """The request of an instance of a `GeneratingReader`."""
    request: Any = instance["request"]
    return request.metadata
