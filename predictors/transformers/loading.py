"""Hugging Face models and tokenizers from folders, hub ids and objects, and their tasks."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from allennlp_saliency.compat.archives.source import is_own_folder
from allennlp_saliency.interpret import InterpretationError


@dataclass(frozen=True)
class Task:
    """A task that models are trained for.

    Attributes:
        auto: Name of the class of transformers that loads a model for it.
        mapping: Name of transformers' table of classes for it.
        suffix: How the names of such classes end, for those that the table lacks.
    """

    auto: str
    mapping: str
    suffix: str

    @classmethod
    def of(cls, head: str) -> Task:
        """By what classes with a head for it are called, `BertFor` and then `head`."""
        words = re.sub("([a-z])([A-Z])", r"\1_\2", head).upper()
        return cls(f"AutoModelFor{head}", f"MODEL_FOR_{words}_MAPPING_NAMES", f"For{head}")


# Sequence to sequence before the language models: BART's class is in several tables.
TASKS = {
    "text-classification": Task.of("SequenceClassification"),
    "token-classification": Task.of("TokenClassification"),
    "question-answering": Task.of("QuestionAnswering"),
    "multiple-choice": Task.of("MultipleChoice"),
    "seq2seq": Task(
        "AutoModelForSeq2SeqLM",
        "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
        "ForConditionalGeneration",
    ),
    "causal-lm": Task.of("CausalLM"),
    "masked-lm": Task.of("MaskedLM"),
}


def tasks_of(class_name: str | None, config: Any = None) -> list[str]:
    """The tasks of a model's class, what it is mostly for first; empty where its name does not
    say. (BART's class writes, and fills gaps.)

    Args:
        class_name: The name of the class.
        config: The model's config, which says whether it has an encoder; None if not known.
            Models of pictures or sound beside text are called like those that translate, and
            mostly go on with one text.
    """
    from transformers.models.auto import modeling_auto

    found = []
    for name, task in TASKS.items():
        known = getattr(modeling_auto, task.mapping, {}).values()
        classes = {one for each in known for one in ([each] if isinstance(each, str) else each)}
        if class_name in classes:
            found.append(name)
    endings = [name for name, task in TASKS.items() if (class_name or "").endswith(task.suffix)]
    found = found or endings[:1]
    if getattr(config, "is_encoder_decoder", None) is False:
        return list(dict.fromkeys("causal-lm" if one == "seq2seq" else one for one in found))
    return found


# Of what `from_pretrained` takes what says where a config is and whether its code may run.
_OF_CONFIGS = """
    revision code_revision subfolder trust_remote_code token cache_dir local_files_only
    force_download proxies
""".split()


def auto_class(task: str, model: Any = None, **loading: Any) -> Any:
    """The class of transformers that loads models for a task.

    Args:
        task: The task.
        model: The folder or hub id that is loaded, if one is. A model that goes on with a text
            may read pictures or hear, too; then it is in another table.
        loading: What transformers' `from_pretrained` is to take.
    """
    import transformers

    auto = getattr(transformers, TASKS[task].auto)
    if task != "causal-lm" or model is None:
        return auto
    from transformers.models.auto import modeling_auto

    config = loading.get("config")
    if not isinstance(config, transformers.PretrainedConfig):
        own = {name: one for name, one in loading.items() if name in _OF_CONFIGS}
        config = transformers.AutoConfig.from_pretrained(config or model, **own)
    kind = type(config)
    if kind not in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING:
        for head in ("MultimodalLM", "ImageTextToText"):
            other = getattr(transformers, f"AutoModelFor{head}", None)
            if other is not None and kind in other._model_mapping:
                return other
    return auto


# What transformers calls the tasks of its pipelines, where it is not the same.
_OF_PIPELINES = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "fill-mask": "masked-lm",
    "text-generation": "causal-lm",
    "text2text-generation": "seq2seq",
    "summarization": "seq2seq",
    "translation": "seq2seq",
}


def opened(model: Any, tokenizer: Any, task: str | None) -> tuple[Any, Any, str | None]:
    """The model, the tokenizer and the task of a pipeline of transformers, as far as no others are
    given; anything else as it is.

    Raises:
        InterpretationError: If the pipeline has a task that is not known here, or a path leads to
            no folder.
    """
    if not any(one.__name__ == "Pipeline" for one in type(model).__mro__):
        _check_path(model)
        return model, tokenizer, task
    kind = str(model.task)
    own = _OF_PIPELINES.get("translation" if kind.startswith("translation") else kind, kind)
    if task is None and own not in TASKS:
        raise InterpretationError(
            f"a pipeline for {kind!r} is none that can be explained; these can: {', '.join(TASKS)}"
        )
    return model.model, tokenizer or model.tokenizer, task or own


def _check_path(model: Any) -> None:
    """Raises an error for a path that is no folder: transformers takes it for a hub id."""
    if not isinstance(model, (str, PathLike)):
        return
    path = Path(model)
    if path.is_file():
        raise InterpretationError(
            f"{str(model)!r} is a file, and a Hugging Face model is a folder or a hub id; "
            "Predictor.from_path loads an archive of AllenNLP"
        )
    known = ("config.json", "adapter_config.json", "*.gguf")
    if path.is_dir() and not any(any(path.glob(pattern)) for pattern in known):
        raise InterpretationError(
            f"{str(model)!r} is a folder without a config.json, and no Hugging Face model; give "
            "the folder that save_pretrained wrote"
        )
    # A hub id is `name` or `owner/name`.
    is_path = not isinstance(model, str) or model.startswith((".", "~")) or len(path.parts) > 2
    if (is_path or path.is_absolute()) and not path.is_dir():
        raise InterpretationError(
            f"there is no folder {str(model)!r}; a model is a folder that save_pretrained wrote, "
            "or a hub id"
        )


def find_task(model: Any, task: str | None = None, **loading: Any) -> str:
    """The task of a model: the one that is asked for, or that of the model's class or config.

    Args:
        model: A folder, a hub id or a model object.
        task: The task, if the caller knows it.
        loading: What `AutoConfig.from_pretrained` takes.

    Raises:
        InterpretationError: If that is not known, or the model's class is for another.
    """
    name, config = None, None
    if isinstance(model, nn.Module):
        name, config = type(model).__name__, getattr(model, "config", None)
    elif task is None:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(model, **loading)
        name = next(iter(config.architectures or ()), None)
    known = tasks_of(name, config)
    if known and task is not None and task not in known:
        raise InterpretationError(
            f"a {name} is for {known[0]}, not for {task}; load the model with a head for {task}"
        )
    chosen = task or next(iter(known), None)
    if chosen in TASKS:
        return str(chosen)
    class_name = name or f"the config of {model!r}"
    what = f"there is no task {task!r}" if task else f"{class_name} does not say what it is for"
    raise InterpretationError(
        f"{what}; name one of {', '.join(TASKS)}: from_pretrained(model, task=…), with a model "
        "that has a head for it"
    )


def load_model(model: Any, task: str, dtype: Any = None, **loading: Any) -> nn.Module:
    """A model with a head for a task.

    Args:
        model: A folder, a hub id or a model object.
        task: The task.
        dtype: The floating type of its weights, "bfloat16" or `torch.bfloat16`; None as it is.
            An object in another type is copied, not changed.
        loading: What transformers' `from_pretrained` takes.
    """
    wanted = getattr(torch, dtype) if isinstance(dtype, str) and dtype != "auto" else dtype
    if isinstance(model, nn.Module):
        if not isinstance(wanted, torch.dtype) or getattr(model, "dtype", wanted) == wanted:
            return model
        return copy.deepcopy(model).to(wanted)
    auto = auto_class(task, model, **loading)
    if is_own_folder(str(model)) and not list(Path(model).glob("*.safetensors")):
        # An archive of a model that was trained: weights.th has its weights.
        from transformers import AutoConfig

        return auto.from_config(AutoConfig.from_pretrained(model))
    if wanted is not None:
        loading["dtype"] = wanted
    return auto.from_pretrained(model, **loading)


def load_tokenizer(tokenizer: Any, model: Any = None) -> Any:
    """A tokenizer.

    Args:
        tokenizer: A folder, a hub id or a tokenizer object; None for the model's.
        model: The model, as its user names it.

    Raises:
        InterpretationError: If there is none and the model does not say where it came from.
    """
    if not isinstance(tokenizer, str) and callable(tokenizer):
        return tokenizer
    own = getattr(model, "name_or_path", None) if isinstance(model, nn.Module) else model
    name = own if tokenizer is None else tokenizer
    if not name:
        raise InterpretationError(
            f"it is not known which tokenizer goes with this {type(model).__name__}; name it: "
            "from_pretrained(model, tokenizer=…)"
        )
    # Its import mends AutoTokenizer where transformers 4 needs it.
    from allennlp.common import cached_transformers

    return cached_transformers.transformers.AutoTokenizer.from_pretrained(name)
