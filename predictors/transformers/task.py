"""The tasks of Hugging Face models, by the models' classes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


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


def tasks_of(class_name: str | None) -> list[str]:
    """The tasks of a model's class, what it is mostly for first; empty where its name does not
    say. (BART's class writes, and fills gaps.)"""
    from transformers.models.auto import modeling_auto

    found = []
    for name, task in TASKS.items():
        known = getattr(modeling_auto, task.mapping, {}).values()
        classes = {one for each in known for one in ([each] if isinstance(each, str) else each)}
        if class_name in classes:
            found.append(name)
    endings = [name for name, task in TASKS.items() if (class_name or "").endswith(task.suffix)]
    return found or endings[:1]


def auto_class(task: str) -> Any:
    """The class of transformers that loads models for a task."""
    import transformers

    return getattr(transformers, TASKS[task].auto)
