"""What the AllenNLP models around Hugging Face models have in common."""

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from allennlp.data import TextFieldTensors, Vocabulary
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.embedding_layers import input_embeddings
from allennlp_saliency.interpret.twin import place

from .embedded import Embedded
from .label_vocabulary import NAMESPACE, LabelVocabulary
from .loading import load_model
from .long_texts import ReadsLongTexts


class TransformersModel(ReadsLongTexts):
    """A Hugging Face model that reads AllenNLP's text fields.

    Every text field is embedded by one call of the model's input embeddings; what comes out is
    joined to the sequence that the model reads. So explanations tell texts apart that the model
    does not.

    Args:
        vocab: Not used: what the model predicts has the names that its config gives it.
        model_name: A folder, a hub id or a model object.
        dtype: The floating type of the weights; None as they are.

    Raises:
        InterpretationError: If the model takes no embeddings in the place of ids.
    """

    task: ClassVar[str]

    # An archive may have them in the transformer's own folder.
    authorized_missing_keys: ClassVar[list[str]] = [r"^transformer\."]

    def __init__(
        self, vocab: Vocabulary, model_name: Any, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(vocab, **kwargs)
        self.transformer = load_model(model_name, self.task, dtype)
        self._label_namespace = NAMESPACE
        parameters = inspect.signature(self.transformer.forward).parameters
        self._takes = frozenset(parameters)
        passes_on = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        # What is passed on stands in the place of ids only where these may be left out.
        ids = parameters.get("input_ids")
        passes_on &= ids is None or ids.default is not ids.empty
        if "inputs_embeds" not in self._takes and not passes_on:
            raise InterpretationError(
                f"{type(self.transformer).__name__} takes no inputs_embeds, so there is no telling "
                "what it makes of other embeddings"
            )
        self.vocab = self.label_vocabulary(vocab)

    def label_vocabulary(self, vocab: Vocabulary) -> Vocabulary:
        """The names of what the model predicts: those of its config."""
        return LabelVocabulary({int(i): name for i, name in self.config.id2label.items()})

    @property
    def config(self) -> Any:
        """The Hugging Face model's config."""
        return self.transformer.config

    @property
    def reads_vectors(self) -> nn.Module | None:
        """What is given the vectors; the same when an input is predicted and explained."""
        return self.transformer

    @property
    def embedding(self) -> nn.Module:
        """The layer that embeds token ids."""
        return input_embeddings(self.transformer)

    def embed(self, text: TextFieldTensors) -> Embedded:
        """A text field's tokens as vectors."""
        tensors: Mapping[str, Tensor] = text["tokens"]
        vectors = self.embedding(tensors["token_ids"])
        return Embedded(vectors, tensors["mask"], tensors["type_ids"])

    def run(self, sequence: Embedded, **more: Any) -> Any:
        """The Hugging Face model's outputs for embedded sequences.

        Args:
            sequence: `(rows, positions)`; padded on either side.
            more: What else it is to take.
        """
        inputs = {**self.inputs(sequence), **more}
        return self.transformer(**inputs, return_dict=True)

    def inputs(self, sequence: Embedded) -> dict[str, Any]:
        """The arguments of the Hugging Face model for embedded sequences.

        Raises:
            InterpretationError: If one is longer than the model has positions.
        """
        self.check_length(sequence.vectors.shape[-2])
        inputs: dict[str, Any] = {
            "inputs_embeds": sequence.vectors,
            "attention_mask": sequence.mask.long(),
        }
        if self._has_types and "token_type_ids" in self._takes:
            inputs["token_type_ids"] = sequence.type_ids
        if "decoder_inputs_embeds" in self._takes and self.config.is_encoder_decoder:
            inputs["decoder_inputs_embeds"] = self.shifted(sequence)
        if "use_cache" in self._takes:
            inputs["use_cache"] = False
        return inputs

    def _get_prediction_device(self) -> int | torch.device:  # type: ignore[override]
        # AllenNLP's refuses models that are spread over several devices.
        return place(self)[0]

    def check_length(self, length: int) -> None:
        """Refuses so many tokens if the model has no positions for them: nothing is cut unasked.

        Raises:
            InterpretationError: If they are too many.
        """
        if length > self._most_positions:
            raise InterpretationError(
                f"the text has {length} tokens, and {type(self.transformer).__name__} takes at "
                f"most {self._most_positions:.0f}; shorten it"
            )

    def most_tokens(self) -> float:
        """How many tokens the model takes: as many as it has positions."""
        return self._most_positions

    @cached_property
    def _most_positions(self) -> float:
        return most_positions(self.transformer)

    def with_positions(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Arguments for sequences that are padded on the left: tokens are counted from the first
        that is there."""
        if "position_ids" in self._takes:
            positions = inputs["attention_mask"].cumsum(-1) - 1
            inputs["position_ids"] = positions.clamp_min(0)
        return inputs

    def shifted(self, sequence: Embedded) -> Tensor:
        """What a decoder reads that repeats the encoder's text: the same vectors, one later."""
        vectors = sequence.vectors
        start = torch.full_like(sequence.type_ids[:, :1], decoder_start(self.transformer))
        # Not through the hooks: it is no token of the text's.
        first = self.embedding.forward(start).detach().to(vectors)
        # Alone, a shorter text has no position for its last token.
        rest = vectors[:, :-1] * sequence.mask[:, 1:].unsqueeze(-1)
        return torch.cat([first, rest], dim=1)

    @cached_property
    def _has_types(self) -> bool:
        # GPT-2 would take the numbers for words.
        return int(getattr(self.config, "type_vocab_size", None) or 0) > 1

    def names(self, indices: Sequence[int]) -> list[str]:
        """What labels are called."""
        known = self.vocab.get_index_to_token_vocabulary(NAMESPACE)
        return [known.get(int(index), str(int(index))) for index in indices]


def most_positions(transformer: nn.Module) -> float:
    """How many positions a model has learned; infinite where it has learned none."""
    most = float("inf")
    for name, module in transformer.named_modules():
        if name.rpartition(".")[2] in _POSITIONS and isinstance(module, nn.Embedding):
            # RoBERTa's positions begin behind that of padding, BART's behind two that nobody uses.
            before = 0 if module.padding_idx is None else module.padding_idx + 1
            most = min(most, module.num_embeddings - (getattr(module, "offset", None) or before))
    return most


_POSITIONS = ("position_embeddings", "wpe", "embed_positions")


def decoder_start(transformer: nn.Module) -> int:
    """The id that a model's decoder starts from."""
    for config in (getattr(transformer, "generation_config", None), transformer.config):
        number = getattr(config, "decoder_start_token_id", None)
        if isinstance(number, int):
            return number
    for name in ("pad_token_id", "bos_token_id"):
        number = getattr(transformer.config, name, None)
        if isinstance(number, int):
            return number
    return 0


def at_places(values: Tensor, places: Tensor) -> Tensor:
    """The values at one position per row.

    Args:
        values: `(rows, positions, classes)`.
        places: `(rows,)`.

    Returns:
        `(rows, classes)`.
    """
    each = places.to(values.device).view(-1, 1, 1).expand(-1, 1, values.shape[-1])
    return values.gather(1, each).squeeze(1)
