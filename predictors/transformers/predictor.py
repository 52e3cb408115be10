"""The base class of the predictors of Hugging Face models."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict
from allennlp.data import DatasetReader, Instance, Vocabulary
from allennlp.data.fields import LabelField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import nn

from allennlp_saliency.interpret.model.made_again import uncompiled
from allennlp_saliency.interpret.model.twin import Twin

from .generation.token_model import TokenModel
from .loading import find_task, load_model, load_tokenizer, opened
from .model.default_baseline import default_baseline
from .model.model import TransformersModel
from .texts.json_input import Kind, taken
from .texts.reader import TransformersReader


class TransformersPredictor(Predictor):
    """A Hugging Face model as an AllenNLP predictor; each task has a subclass.

    Args:
        model: The model.
        dataset_reader: The reader of its inputs.
        frozen: Whether to put the model into evaluation mode.
        overlong: As for `TransformersReader`; None for what the reader says.
        stride: The same.
        max_length: The same.

    Raises:
        ConfigurationError: If there is no such policy, or a number is out of range.
    """

    #: The keys of its JSON, which are the parameters of its reader, and their kinds.
    reads: ClassVar[Mapping[str, Kind]]

    _model: TransformersModel
    _dataset_reader: TransformersReader

    def __init__(
        self,
        model: Model,
        dataset_reader: DatasetReader,
        frozen: bool = True,
        overlong: str | None = None,
        stride: int | None = None,
        max_length: int | None = None,
    ) -> None:
        super().__init__(model, dataset_reader, frozen)
        given = {"policy": overlong, "stride": stride, "max_length": max_length}
        changed: Any = {name: value for name, value in given.items() if value is not None}
        if changed:
            self._change_reader(overlong=replace(self._dataset_reader.overlong, **changed))

    def _change_reader(self, **attributes: Any) -> None:
        """Changes attributes of a copy of the reader, which may serve other predictors."""
        self._dataset_reader = copy.copy(self._dataset_reader)
        vars(self._dataset_reader).update(attributes)

    @classmethod
    def from_pretrained(
        cls,
        model: Any,
        tokenizer: Any = None,
        task: str | None = None,
        device: Any = None,
        dtype: Any = None,
        overlong: str = "error",
        stride: int | None = None,
        max_length: int | None = None,
        no_answer: bool | float | None = None,
        explain: Any = None,
        hops: int | None = None,
        **loading: Any,
    ) -> TransformersPredictor:
        """A predictor of a Hugging Face model.

        Args:
            model: A folder, a hub id or a model object, which is put in evaluation mode, as by
                any predictor of AllenNLP. Of one that was compiled or spread by `DataParallel`
                the model in it is run. Also a pipeline of transformers, for its model, its
                tokenizer and its task.
            tokenizer: A folder, a hub id or a tokenizer object; None for the model's own.
            task: "text-classification", "token-classification", "question-answering",
                "multiple-choice", "masked-lm", "causal-lm" or "seq2seq"; None for what the
                model's class or config says.
            device: Where to run it, "cuda"; None where it is.
            dtype: The floating type of its weights, "bfloat16"; None as it is stored. Scores
                are float32 or wider.
            overlong: What to do with a text that is longer than the model takes: "error" refuses,
                "truncate" cuts what the tokenizer would cut, "window" reads overlapping windows.
            stride: How many tokens a window shares with the next at least; None for half of them.
            max_length: How many tokens the model is to take; None for as many as it has positions.
            no_answer: For question answering, whether a passage may have no answer, as for models
                trained on SQuAD 2; a number is by how much that has to exceed the best answer.
            explain: For models that write, which tokens are explained together.
            hops: For the same models, how often scores are handed on; see `GeneratingPredictor`.
            loading: What else transformers' `from_pretrained` takes (`revision`, `device_map`).

        Raises:
            InterpretationError: If it is not known what the model is for, or which tokenizer it
                goes with.
            ConfigurationError: If there is no such `overlong`, a number is out of range, or
                `no_answer`, `explain` or `hops` is given for another task.
        """
        model, tokenizer, task = opened(model, tokenizer, task)
        if isinstance(model, nn.Module):
            model = uncompiled(model)
        task = find_task(model, task)
        own = _of_task(task, no_answer=no_answer, explain=explain, hops=hops)
        own_tokenizer = load_tokenizer(tokenizer, model)
        loaded = load_model(model, task, dtype, **loading)
        if device is not None:
            loaded = loaded.to(device)
        name = f"transformers-{task}"
        long = {"overlong": overlong, "stride": stride, "max_length": max_length}
        reader = DatasetReader.by_name(name)(own_tokenizer, **long)
        kind: Any = Model.by_name(name)
        of_tokens = {"tokenizer": own_tokenizer} if issubclass(kind, TokenModel) else {}
        predictor = Predictor.by_name(name)(kind(Vocabulary(), loaded, **of_tokens), reader, **own)
        assert isinstance(predictor, TransformersPredictor)
        return predictor

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return taken(json_dict, self.reads, self._dataset_reader.text_to_instance)

    @property
    def text_keys(self) -> list[str]:
        """The keys of the texts that an input must have; where any of several will do, the first
        that it may have."""
        parameters = inspect.signature(self._dataset_reader.text_to_instance).parameters
        needed = [key for key in self.reads if parameters[key].default is inspect.Parameter.empty]
        return needed or [next(iter(self.reads))]

    @property
    def default_target(self) -> str:
        """The target that is explained unless one is named."""
        return "log-likelihood"

    @cached_property
    def default_baseline(self) -> str:
        """The baseline that methods compare with unless one is named: "zero" where the model has a
        value there, "mean" where it normalises its embeddings before anything is added to them."""
        twin: Any = Twin(self).model
        return default_baseline(twin.transformer, self._dataset_reader._tokenizer)

    def get_interpretable_layer(self) -> nn.Module:
        """The layer that embeds token ids."""
        return self._model.embedding_layers()[0]

    def get_interpretable_text_field_embedder(self) -> nn.Module:
        """The same: the texts' tensors go into it as they are."""
        return self._model.embedding_layers()[0]


def labelled(instance: Instance, label: int) -> Instance:
    """A copy of an instance with the index of a label."""
    copied = instance.duplicate()
    copied.add_field("label", LabelField(label, skip_indexing=True))
    return copied


def _of_task(task: str, **given: Any) -> dict[str, Any]:
    """The arguments that only predictors of some tasks take, those that are given.

    Raises:
        ConfigurationError: If one is given for another task.
    """
    own = {name: value for name, value in given.items() if value is not None}
    for name in own:
        if name == "no_answer" and task != "question-answering":
            raise ConfigurationError(f"no_answer is for question answering, not for {task}")
        if name != "no_answer" and task not in ("causal-lm", "seq2seq"):
            raise ConfigurationError(f"{name} is for models that write, not for {task}")
    return own
