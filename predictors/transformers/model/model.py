"""The base class of the AllenNLP models around Hugging Face models."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from allennlp.data import Instance, Vocabulary
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.model.embedding_layers import (
    input_embeddings,
    outermost_models,
)
from allennlp_saliency.interpret.model.hooks import state_kept
from allennlp_saliency.interpret.model.twin import place

from ..loading import load_model
from ..texts.long_texts import ReadsLongTexts
from ..texts.token_sequence import TokenSequence, joined
from .arguments import arguments_of, required_beside_text, takes_any
from .label_vocabulary import NAMESPACE, LabelVocabulary, unique_names
from .outputs import named_outputs
from .unpadded import PaddingCheck


class TransformersModel(ReadsLongTexts):
    """A Hugging Face model that reads AllenNLP's text fields.

    The texts are joined to the sequences of token ids that its tokenizer makes, and the model runs
    on these as its own users run it. It knows which token of which text stands where
    (`JoinsTexts`), so explanations tell texts apart that the model does not.

    Args:
        vocab: Not used: what the model predicts has the names that its config gives it.
        model_name: A folder, a hub id or a model object.
        dtype: The floating type of the weights; None as they are.

    Raises:
        InterpretationError: If the model does not run on token ids, or has no config.
    """

    task: ClassVar[str]
    #: Whether its head reads one position of the sequence alone.
    pools: ClassVar[bool] = False
    #: The outputs that are read, and how many dimensions each has.
    sizes: ClassVar[Mapping[str, int]] = {"logits": 3}
    #: Whether its logits are of the labels that the config names.
    names_labels: ClassVar[bool] = False
    #: See `PredictsTogether`.
    predicts_together: bool = True

    # An archive may have them in the transformer's own folder.
    authorized_missing_keys: ClassVar[list[str]] = [r"^transformer\."]

    def __init__(
        self, vocab: Vocabulary, model_name: Any, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(vocab, **kwargs)
        self.transformer = load_model(model_name, self.task, dtype)
        self._label_namespace = NAMESPACE
        self._takes = arguments_of(self.transformer)
        self._names_outputs = takes_any(self.transformer, "return_dict")
        if "input_ids" not in self._takes:
            raise InterpretationError(
                f"{type(self.transformer).__name__} takes no input_ids but "
                f"{', '.join(sorted(self._takes))}; it is no model of text alone"
            )
        more = required_beside_text(self.transformer)
        if more:
            raise InterpretationError(
                f"{type(self.transformer).__name__} cannot do without {', '.join(sorted(more))}; "
                "it is no model of text alone"
            )
        self.vocab = self.label_vocabulary()
        self._padding = PaddingCheck(place(self)[1], self.sees_padding)

    @property
    def sees_padding(self) -> bool | None:
        """Whether inputs of different lengths cannot share a batch; None where that is not known
        before it has been tried."""
        return None

    def forward_on_instances(self, instances: list[Instance]) -> list[dict[str, Any]]:
        """As any model's; a model that sees padding is given none."""
        return self._padding.run(instances, super().forward_on_instances)

    def label_vocabulary(self) -> Vocabulary:
        """The names of what the model predicts: those of its config."""
        return LabelVocabulary(unique_names(self._config_names()))

    def _config_names(self) -> dict[int, str]:
        return {int(i): str(name) for i, name in (self.config.id2label or {}).items()}

    @property
    def config(self) -> Any:
        """The Hugging Face model's config."""
        return config_of(self.transformer)

    @property
    def backbone(self) -> nn.Module | None:
        """The Hugging Face model: it gets the same ids when an input is predicted and explained."""
        return self.transformer

    def embedding_layers(self) -> list[nn.Module]:
        """The layers that embed token ids: an encoder's, a decoder's."""
        return token_embeddings(self.transformer)

    def keeps_rows(self) -> bool:
        """That of transformers' own models."""
        return type(self.transformer).__module__.partition(".")[0] == "transformers"

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """The sequences of token ids that `forward` makes of its arguments: all texts as one."""
        names = [name for name in self.text_fields if fields.get(name) is not None]
        given = {name: fields[name] for name in names}
        return [joined(given, self.padding_id, left=self.reads_last)]

    def run(self, sequence: TokenSequence, **more: Any) -> Any:
        """The Hugging Face model's outputs for sequences of ids, given what else it is to take."""
        return self.call({**self.inputs(sequence), **more})

    def call(self, inputs: Mapping[str, Any]) -> Any:
        """The Hugging Face model's outputs for its own arguments; the model's state is restored.

        Raises:
            InterpretationError: If it does not return what is read.
        """
        named = {"return_dict": True} if self._names_outputs else {}
        with state_kept(self.transformer):
            found = self.transformer(**inputs, **named)
        labels = self.config.id2label if self.names_labels else None
        return named_outputs(found, self.sizes, self.transformer, labels)

    def inputs(self, sequence: TokenSequence) -> dict[str, Any]:
        """The arguments of the Hugging Face model for sequences of ids: what its tokenizer makes.

        Raises:
            InterpretationError: If one is longer than the model has positions.
        """
        self.check_length(sequence.ids.shape[-1])
        inputs: dict[str, Any] = {"input_ids": sequence.ids}
        if "attention_mask" in self._takes:
            inputs["attention_mask"] = sequence.attention_mask
        if sequence.types is not None and "token_type_ids" in self._takes:
            inputs["token_type_ids"] = sequence.types
        if "use_cache" in self._takes:
            inputs["use_cache"] = False
        return inputs

    @property
    def reads_last(self) -> bool:
        """Whether the head reads the last position itself, so that padding has to go before it."""
        return self.pools and getattr(self.config, "summary_type", None) == "last"

    @property
    def padding_id(self) -> int:
        """The id that fills up the shorter texts of a batch."""
        number = getattr(self.config, "pad_token_id", None)
        return number if isinstance(number, int) and number >= 0 else 0

    def _get_prediction_device(self) -> int | torch.device:  # type: ignore[override]
        # AllenNLP's refuses models that are spread over several devices.
        return place(self)[0]

    def check_length(self, length: int) -> None:
        """Refuses so many tokens if the model has no positions for them: nothing is cut unasked.

        Raises:
            InterpretationError: If they are too many.
        """
        if length > self.most_tokens():
            raise InterpretationError(
                f"the text has {length} tokens, and {type(self.transformer).__name__} takes at "
                f"most {self.most_tokens():.0f}; shorten it"
            )

    def names(self, indices: Sequence[int]) -> list[str]:
        """The names of labels, by their indices."""
        known = self.vocab.get_index_to_token_vocabulary(NAMESPACE)
        return [known.get(int(index), str(int(index))) for index in indices]

    def config_names(self, labels: Sequence[str]) -> list[str]:
        """What the config calls labels, of which the vocabulary tells those of one name apart."""
        numbers, names = self.vocab.get_token_to_index_vocabulary(NAMESPACE), self._config_names()
        return [names.get(numbers.get(label, -1), label) for label in labels]


def config_of(transformer: nn.Module) -> Any:
    """A model's config; of a module of the user's around a Hugging Face model that one's.

    Raises:
        InterpretationError: If it has none.
    """
    own = getattr(transformer, "config", None)
    if own is not None:
        return own
    outer: list[Any] = outermost_models(transformer)
    if len(outer) != 1:
        raise InterpretationError(
            f"{type(transformer).__name__} has no config, which says what its labels are called; "
            "set it: model.config = transformers.PretrainedConfig(num_labels=…)"
        )
    return outer[0].config


def token_embeddings(transformer: nn.Module) -> list[nn.Module]:
    """The layers that embed token ids: what a model, its encoder and its decoder name, and those
    that share their weights with these.

    Raises:
        InterpretationError: If the model names none.
    """
    named = [input_embeddings(transformer)]
    for name in ("get_encoder", "get_decoder"):
        part = _or_none(getattr(transformer, name, None))
        if not isinstance(part, nn.Module):
            continue
        layer = _or_none(getattr(part, "get_input_embeddings", None))
        # FSMT's decoder is no model of its own.
        layer = getattr(part, "embed_tokens", None) if layer is None else layer
        named += [layer] if isinstance(layer, nn.Module) else []
    weights = {id(weight) for one in named if (weight := _weight(one)) is not None}
    # T5's stacks have layers of their own for the same weights.
    same = [
        module
        for module in transformer.modules()
        if isinstance(module, nn.Embedding) and id(_weight(module)) in weights
    ]
    return list({id(one): one for one in (*named, *same)}.values())


def _weight(module: nn.Module) -> Tensor | None:
    return module._parameters.get("weight")


def _or_none(method: Any) -> Any:
    """The result of a method of transformers, None where a model does not implement it."""
    try:
        return method() if callable(method) else None
    except (AttributeError, NotImplementedError, TypeError):
        return None


def decoder_start(transformer: nn.Module) -> int:
    """The id that a model's decoder starts from: as `generate` finds it, where the model has a
    generation config."""
    config, writing = config_of(transformer), getattr(transformer, "generation_config", None)
    named = [
        (writing, "decoder_start_token_id"),
        (writing, "bos_token_id"),
        (config, "decoder_start_token_id"),
        (config, "pad_token_id"),
        (config, "bos_token_id"),
    ]
    numbers = (getattr(owner, name, None) for owner, name in named)
    return next((number for number in numbers if isinstance(number, int)), 0)


def at_places(values: Tensor, places: Tensor) -> Tensor:
    """The values at one position per row, `(rows, classes)`.

    Args:
        values: `(rows, positions, classes)`.
        places: `(rows,)`.
    """
    each = places.to(values.device).view(-1, 1, 1).expand(-1, 1, values.shape[-1])
    return values.gather(1, each).squeeze(1)
