"""What models that write text have in common: generation, and one instance per token of it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy
import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.fields import LabelField, MetadataField, TensorField
from allennlp.data.tokenizers import Token
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.model.hooks import inputs_of
from allennlp_saliency.interpret.model.kept_state import state_kept
from allennlp_saliency.interpret.target.prediction_check import alike

from ..loading import load_tokenizer
from ..model.label_vocabulary import LabelVocabulary
from ..model.model import TransformersModel
from ..predictor import TransformersPredictor
from ..texts.hf_tokenizer import Pieces
from .greedy import Written, generation_details, greedy, writes_rows_alone
from .target_text import begun_like

MAX_NEW_TOKENS = 20

Score = Callable[[int, list[int]], list[float]]


@dataclass
class CacheCheck:
    """What has been found out of a model, for all copies of it.

    Attributes:
        same: Whether it predicts the same with a cache; None while that is not known.
    """

    same: bool | None = None


class GeneratingModel(TransformersModel):
    """A model that predicts tokens, named as its tokenizer names them.

    All tokens of a generated text can be explained by one forward pass; see `SupportsPrefixes`.

    Args:
        vocab: Not used.
        model_name: A folder, a hub id or a model object.
        tokenizer: A folder, a hub id or a tokenizer object; None for the model's own.
        dtype: The floating type of the weights; None as they are.
    """

    generated_field = "generated"
    #: The text field that stands before what is generated; None if nothing follows another.
    prompt_field: ClassVar[str | None] = None

    def __init__(
        self,
        vocab: Vocabulary,
        model_name: Any,
        tokenizer: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self._pieces = Pieces(load_tokenizer(tokenizer, model_name))
        self._cache = CacheCheck()
        super().__init__(vocab, model_name, dtype, **kwargs)

    @property
    def backbone(self) -> nn.Module | None:
        """None: writing calls the model token by token."""
        return None

    def whole_text(self, instance: Instance) -> Hashable:
        """What the steps of one generation have in common: the field that they all go on from."""
        return None if self.prompt_field is None else id(instance.fields[self.prompt_field])

    def read(self, run: Callable[[], Tensor], rows: Tensor, places: Tensor) -> dict[str, Any]:
        """The logits of several targets of each row.

        Args:
            run: Runs the model; its logits, `(rows, places, vocabulary)`.
            rows: The row of each target, `(targets,)`.
            places: Its place there, `(targets,)`.

        Returns:
            What a `SupportsPrefixes` returns: `logits`, `(targets, vocabulary)`, `states` and
            `places`.
        """
        transformer: Any = self.transformer
        with inputs_of(transformer.get_output_embeddings()) as states:
            logits = run()
        return {
            "logits": logits[rows, places].float(),
            "states": states[0],
            "places": (rows, places),
        }

    def number_of(self, instance: Instance, prediction: Mapping[str, Any]) -> int | None:
        """The number of an instance's label among the predicted tokens; None if it is none."""
        generated: Any = instance["generated"]
        return len(generated.tokens) - len(self.before_writing())

    def before_writing(self) -> list[Token]:
        """The tokens that stand before the first generated one in its field."""
        return []

    def expected_outputs(self, instance: Instance, prediction: Mapping[str, Any]) -> Expected:
        """The log-probability of the label, if that is what was predicted."""
        label: Any = instance.fields.get("label")
        ids, log_probs = prediction.get("token_ids"), prediction.get("log_probs")
        number = self.number_of(instance, prediction)
        if label is None or number is None or ids is None or log_probs is None:
            return {}
        if number >= len(ids) or label.label != ids[number]:
            return {}
        return {"log_probs": log_probs[number]}

    def label_vocabulary(self, vocab: Vocabulary) -> Vocabulary:
        """The tokenizer's tokens."""
        return LabelVocabulary.of_tokens(self._pieces.tokenizer)

    def write(self, requests: Sequence[Any], score: Score, **inputs: Tensor) -> dict[str, Any]:
        """What follows each input: what is given, or what the model writes, greedily.

        Rows that may be of different lengths are written in batches of their own: then each has
        what it has alone, also where a generation config ends texts at their longest.

        Args:
            requests: Per row what to write; see `request`.
            score: The log-probabilities of given tokens after a row, without a cache.
            inputs: What `generate` starts from, `(rows, positions)` each; `attention_mask` says
                what is padding.

        Returns:
            Per row `text`, `tokens`, `token_ids` and `log_probs`.

        Raises:
            InterpretationError: If the model has too few positions.
        """
        written: dict[int, Written] = {}
        alone = writes_rows_alone(self.transformer)
        batches: dict[Hashable, list[int]] = {}
        for row, one in enumerate(requests):
            if "tokens" in one:
                ids = [token.text_id for token in one["tokens"]]
                written[row] = Written(ids, score(row, ids))
                continue
            # Some models see padding while they write.
            length = int(inputs["attention_mask"][row].sum())
            key = (one["max_new_tokens"], length, row if alone else None)
            batches.setdefault(key, []).append(row)
        for rows in batches.values():
            most = requests[rows[0]]["max_new_tokens"]
            own = _unpadded({name: value[rows] for name, value in inputs.items()})
            length = own["input_ids"].shape[1]
            decodes = self.config.is_encoder_decoder
            self.check_length(max(length, most) if decodes else length + most - 1)
            with state_kept(self.transformer):
                found = greedy(self.transformer, self._pieces.tokenizer, most, **own)
            for row, one in zip(rows, found, strict=True):
                written[row] = self._scored(one, partial(score, row))
        return self.generated([written[row] for row in range(len(requests))])

    def _scored(self, written: Written, score: Callable[[list[int]], list[float]]) -> Written:
        """A text with the log-probabilities that the model gives it without a cache, which are
        explained. Most models give the same with one: that is found out with the first text of
        several tokens."""
        cached = written.log_probs
        if cached is not None and (self._cache.same or len(written.ids) < 2):
            return written
        own = score(written.ids)
        if self._cache.same is None and cached is not None:
            self._cache.same = alike(torch.tensor(cached), torch.tensor(own))
        return written if self._cache.same and cached is not None else Written(written.ids, own)

    def generated(self, written: Sequence[Written]) -> dict[str, Any]:
        """What a prediction tells of generated tokens: per row `text`, `tokens`, `token_ids` and
        `log_probs`."""
        names = self._pieces.tokenizer.convert_ids_to_tokens
        ids = [one.ids for one in written]
        return {
            "text": [self._pieces.decode(row) for row in ids],
            "tokens": [names(list(row)) for row in ids],
            "token_ids": [list(row) for row in ids],
            "log_probs": [one.log_probs for one in written],
        }


class GeneratingPredictor(TransformersPredictor):
    """Explains every token of a text that the model wrote, or that it is given.

    Instance K explains token K, given what comes before it: a classification over the model's
    vocabulary.
    """

    #: The field that another text may stand in for.
    changes: ClassVar[str]

    def steps(self, instance: Instance, text: str, generated: Sequence[Token]) -> list[Instance]:
        """One labelled instance per generated token.

        Args:
            instance: The instance whose other texts every step reads.
            text: What was generated.
            generated: Its tokens.
        """
        asked: Any = instance["request"]
        reader: Any = self._dataset_reader
        foil: Sequence[Token] = asked.metadata.get("foil", generated)
        if "tokens" not in asked.metadata:
            foil = begun_like(reader._tokenizer, foil, generated)
        steps = [
            self._step(instance, text, generated, number)
            for number in range(min(len(generated), len(foil)))
        ]
        if "changed" in asked.metadata:
            self._compare(steps, *asked.metadata["changed"])
        for step, token, other in zip(steps, generated, foil, strict=False):
            step.add_field("label", LabelField(int(token.text_id or 0), skip_indexing=True))
            if "foil" in asked.metadata:
                step.add_field("foil", LabelField(int(other.text_id or 0), skip_indexing=True))
        return steps

    def _step(
        self, instance: Instance, text: str, generated: Sequence[Token], number: int
    ) -> Instance:
        reader: Any = self._dataset_reader
        so_far = [*self.start(), *generated[:number]]
        return Instance(
            {
                self.changes: instance[self.changes],
                "generated": reader.text_field(so_far, text),
            }
        )

    def _compare(self, steps: Sequence[Instance], text: str, tokens: list[Token]) -> None:
        """Notes in each step what the model would predict after another text."""
        reader: Any = self._dataset_reader
        others = [Instance({**step.fields}) for step in steps]
        for other in others:
            other.fields[self.changes] = reader.text_field(tokens, text)
        outputs = self._model.forward_on_instances(others)
        for step, output in zip(steps, outputs, strict=True):
            logits = torch.as_tensor(output["logits"])
            step.add_field("reference", TensorField(logits.log_softmax(-1)))

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, numpy.ndarray]
    ) -> list[Instance]:
        """One instance per generated token.

        Args:
            instance: What the reader made of the input.
            outputs: The model's outputs for it; `token_ids` are the tokens to explain.
        """
        reader: Any = self._dataset_reader
        request: Any = instance["request"]
        asked = request.metadata
        if "tokens" in asked:
            return self.steps(instance, asked["text"], asked["tokens"])
        return self.steps(instance, *reader._tokenizer.of_ids(outputs["token_ids"]))

    def labeled_instances(self, instance: Instance) -> list[Instance] | None:
        """The steps of a continuation that is given: the model need not run for them."""
        own = GeneratingPredictor.predictions_to_labeled_instances
        if type(self).predictions_to_labeled_instances is not own:
            return None
        model: Any = self._model
        asked: Any = instance["request"]
        if "tokens" not in asked.metadata or model.windows_of(instance) is not None:
            return None
        return self.steps(instance, asked.metadata["text"], asked.metadata["tokens"])

    def explanation_details(self, instance: Instance) -> dict[str, Any]:
        """What explanations say of how the model wrote; nothing of a text that was given.

        Args:
            instance: What the reader made of the input.
        """
        asked: Any = instance["request"]
        if "tokens" in asked.metadata:
            return {}
        model: Any = self._model
        return generation_details(model.transformer, model.windows_of(instance) is not None)

    def start(self) -> list[Token]:
        """What stands before the first generated token in its field."""
        return []


def request(
    continuation: Sequence[Token] | None,
    text: str | None,
    max_new_tokens: int | None = None,
    **compared: Any,
) -> MetadataField:
    """What is asked for: so many new tokens, or a given continuation.

    Args:
        continuation: The tokens to explain; None for what the model writes.
        text: Their text.
        max_new_tokens: How many tokens the model may write at most.
        compared: What it is compared with, if anything: the tokens of a `foil`, the text and the
            tokens that stand in `changed` for the prompt or the source.

    Raises:
        InterpretationError: If no token is asked for, or a foil has none.
    """
    if compared.get("foil") == []:
        raise InterpretationError("the foil has no tokens to compare with; leave it out")
    more = {key: value for key, value in compared.items() if value is not None}
    if continuation is not None:
        if not continuation:
            raise InterpretationError("the continuation has no tokens to explain; leave it out")
        return MetadataField({"tokens": list(continuation), "text": text, **more})
    most = MAX_NEW_TOKENS if max_new_tokens is None else max_new_tokens
    if not isinstance(most, Integral) or most < 1:
        raise InterpretationError(f"max_new_tokens must be a positive number, not {most!r}")
    return MetadataField({"max_new_tokens": int(most), **more})


def likelihood(logits: Tensor, label: Tensor | None) -> dict[str, Tensor]:
    """The labels' log-probabilities, `(rows,)`, and the mean cross entropy as `loss`.

    Args:
        logits: `(rows, vocabulary)`.
        label: `(rows,)`; None for nothing.
    """
    if label is None:
        return {}
    own = logits.log_softmax(-1).gather(1, label.view(-1, 1)).squeeze(1)
    return {"log_probs": own, "loss": -own.mean()}


def compared(foil: Tensor | None, reference: Tensor | None) -> dict[str, Tensor]:
    """The outputs that a comparison's target reads."""
    given = {"foil": foil, "reference_log_probs": reference}
    return {name: value for name, value in given.items() if value is not None}


def _unpadded(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The columns that any row has a token in."""
    columns = inputs["attention_mask"].bool().any(0)
    return {name: value[:, columns] for name, value in inputs.items()}
