"""Hugging Face models and tokenizers from folders, hub ids and objects."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from allennlp_saliency.compat.archives.own_transformers import is_own_folder
from allennlp_saliency.interpret import InterpretationError

from .task import auto_class, checked_task, tasks_of


def find_task(model: Any, task: str | None = None, **loading: Any) -> str:
    """The task of a model: as it is asked for, or as the model's class or config says.

    Args:
        model: A folder, a hub id or a model object.
        task: The task, if the caller knows it.
        loading: What `AutoConfig.from_pretrained` takes.

    Raises:
        InterpretationError: If there is no saying.
    """
    if isinstance(model, nn.Module):
        names = [type(model).__name__]
    elif task is None:
        from transformers import AutoConfig

        names = AutoConfig.from_pretrained(model, **loading).architectures or []
    else:
        names = []
    name = names[0] if names else None
    known = tasks_of(name)
    found = known[0] if known else None
    if task is not None and known and task not in known and isinstance(model, nn.Module):
        raise InterpretationError(
            f"a {name} is for {found}, not for {task}; load the model with a head for {task}"
        )
    return checked_task(task, found, name or f"the config of {model!r}")


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
    auto = auto_class(task)
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
    if tokenizer is not None and not isinstance(tokenizer, str) and callable(tokenizer):
        return tokenizer
    name = tokenizer
    if name is None:
        own = getattr(model, "name_or_path", None)
        name = own if isinstance(model, nn.Module) else model
    if not name:
        raise InterpretationError(
            f"no telling which tokenizer goes with this {type(model).__name__}; name it: "
            "from_pretrained(model, tokenizer=…)"
        )
    # Its import mends AutoTokenizer where transformers 4 needs it.
    from allennlp.common import cached_transformers

    return cached_transformers.transformers.AutoTokenizer.from_pretrained(name)
