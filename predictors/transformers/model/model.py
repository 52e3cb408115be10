"""What the AllenNLP models around Hugging Face models have in common."""

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from allennlp.data import Instance, Vocabulary
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.model.embedding_layers import input_embeddings
from allennlp_saliency.interpret.model.kept_state import state_kept
from allennlp_saliency.interpret.model.learned_positions import most_positions
from allennlp_saliency.interpret.model.twin import place

from ..loading import load_model
from ..texts.long_texts import ReadsLongTexts
from ..texts.token_sequence import TokenSequence, joined
from .label_vocabulary import NAMESPACE, LabelVocabulary
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
        InterpretationError: If the model does not run on token ids.
    """

    task: ClassVar[str]
    #: The text fields that it joins, in the order in which it reads them; some may be missing.
    text_fields: ClassVar[tuple[str, ...]] = ("sentence",)
    #: Whether its head reads one position of the sequence alone.
    pools: ClassVar[bool] = False

    # An archive may have them in the transformer's own folder.
    authorized_missing_keys: ClassVar[list[str]] = [r"^transformer\."]

    def __init__(
        self, vocab: Vocabulary, model_name: Any, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(vocab, **kwargs)
        self.transformer = load_model(model_name, self.task, dtype)
        self._label_namespace = NAMESPACE
        self._takes = arguments_of(self.transformer)
        if "input_ids" not in self._takes:
            raise InterpretationError(
                f"{type(self.transformer).__name__} takes no input_ids but "
                f"{', '.join(sorted(self._takes))}; it is no model of text alone"
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
        return LabelVocabulary({int(i): name for i, name in self.config.id2label.items()})

    @property
    def config(self) -> Any:
        """The Hugging Face model's config."""
        return self.transformer.config

    @property
    def backbone(self) -> nn.Module | None:
        """What is given the ids; the same when an input is predicted and explained."""
        return self.transformer

    @property
    def embedding_layers(self) -> list[nn.Module]:
        """The layers that embed token ids: an encoder's, a decoder's."""
        return token_embeddings(self.transformer)

    @property
    def embedding(self) -> nn.Module:
        """The first of the layers that embed token ids."""
        return self.embedding_layers[0]

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """The sequences of token ids that `forward` makes of its text fields.

        Args:
            fields: The arguments of `forward`.
        """
        names = [name for name in self.text_fields if fields.get(name) is not None]
        given = {name: fields[name] for name in names}
        return [joined(given, self.padding_id, left=self.reads_last)]

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """All its texts."""
        return [name for name in self.text_fields if name in instance.fields], {}

    def run(self, sequence: TokenSequence, **more: Any) -> Any:
        """The Hugging Face model's outputs for sequences of ids.

        Args:
            sequence: `(rows, positions)`.
            more: What else the model is to take.
        """
        return self.call({**self.inputs(sequence), **more})

    def call(self, inputs: Mapping[str, Any]) -> Any:
        """The Hugging Face model's outputs for its own arguments; the model stays as it is."""
        with state_kept(self.transformer):
            return self.transformer(**inputs, return_dict=True)

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

    def most_tokens(self) -> float:
        """How many tokens the model takes: as many as it has positions."""
        return self._most_positions

    @cached_property
    def _most_positions(self) -> float:
        return most_positions(self.transformer)

    def names(self, indices: Sequence[int]) -> list[str]:
        """What labels are called."""
        known = self.vocab.get_index_to_token_vocabulary(NAMESPACE)
        return [known.get(int(index), str(int(index))) for index in indices]


def arguments_of(transformer: nn.Module) -> frozenset[str]:
    """The names of what a Hugging Face model's `forward` takes.

    A wrapper that passes everything on (of adapters, say) takes what the model in it does.
    """
    named: set[str] = set()
    inner: Any = transformer
    while isinstance(inner, nn.Module):
        parameters = _parameters(inner.forward)
        variable = _variable(parameters)
        if len(variable) == len(parameters) and "forward" in vars(inner):
            # A function put in the place of the class's, for timing or logging, passes all on.
            parameters = _parameters(type(inner).forward)[1:]
            variable = _variable(parameters)
        if variable:
            parameters += _handed_to_super(type(inner))
        named |= {one.name for one in parameters}
        modules = inner._modules
        if variable and "base_model" in modules:
            inner = modules["base_model"]
        else:
            inner = modules.get("model") if len(variable) == len(parameters) else None
    return frozenset(named)


def _parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _handed_to_super(kind: type) -> list[inspect.Parameter]:
    """What the `forward` of a class takes from those of its base classes, where it passes on to
    these what it does not name itself."""
    found: list[inspect.Parameter] = []
    for base in kind.__mro__:
        forward = vars(base).get("forward")
        if forward is None:
            continue
        own = _parameters(forward)
        found += [one for one in own if one.name not in {"self", *_variable(own)}]
        code = getattr(inspect.unwrap(forward), "__code__", None)
        calls_super = code is not None and "super" in code.co_names
        if not calls_super or not _variable(own):
            break
    return found


def _variable(parameters: Sequence[inspect.Parameter]) -> set[str]:
    """The names of `*args` and `**kwargs`."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {one.name for one in parameters if one.kind in kinds}


def token_embeddings(transformer: nn.Module) -> list[nn.Module]:
    """The layers that embed token ids: what a model, its encoder and its decoder name, and those
    that share their weights with these.

    Raises:
        InterpretationError: If the model names none.
    """
    parts = [transformer]
    for name in ("get_encoder", "get_decoder"):
        part = _or_none(getattr(transformer, name, None))
        if isinstance(part, nn.Module):
            parts.append(part)
    named = [input_embeddings(transformer)]
    named += [one for part in parts[1:] if isinstance(one := _embedding_of(part), nn.Module)]
    weights = [weight for one in named if isinstance(weight := _weight(one), Tensor)]
    layers = {id(one): one for one in named}
    for module in transformer.modules():
        # T5's stacks have layers of their own for the same weights.
        own = _weight(module) if isinstance(module, nn.Embedding) else None
        if own is not None and any(own is weight for weight in weights):
            layers[id(module)] = module
    return list(layers.values())


def _embedding_of(part: nn.Module) -> Any:
    named = _or_none(getattr(part, "get_input_embeddings", None))
    # FSMT's decoder is no model of its own.
    return getattr(part, "embed_tokens", None) if named is None else named


def _weight(module: nn.Module) -> Any:
    return module._parameters.get("weight")


def _or_none(method: Any) -> Any:
    """What a method of transformers returns, None where a model does not implement it."""
    try:
        return method() if callable(method) else None
    except (AttributeError, NotImplementedError, TypeError):
        return None


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
