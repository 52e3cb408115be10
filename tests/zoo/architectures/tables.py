"""Which architectures transformers has for which tasks."""

from __future__ import annotations

from dataclasses import dataclass

from allennlp_saliency.predictors.transformers.loading import TASKS


@dataclass(frozen=True, order=True)
class Pair:
    """An architecture and a task that transformers has a class for.

    Attributes:
        architecture: Its `model_type`.
        task: A name of `TASKS`.
        class_name: The class, the first where the table names several.
    """

    architecture: str
    task: str
    class_name: str

    @property
    def name(self) -> str:
        """`bert:masked-lm`."""
        return f"{self.architecture}:{self.task}"


def pairs() -> list[Pair]:
    """Every architecture with every task, as the tables of the installed transformers say."""
    from transformers.models.auto import modeling_auto

    found = []
    for task, about in TASKS.items():
        for architecture, classes in getattr(modeling_auto, about.mapping).items():
            first = classes if isinstance(classes, str) else classes[0]
            found.append(Pair(architecture, task, first))
    return sorted(found)


def chosen(names: list[str]) -> list[Pair]:
    """The pairs of some names, each `architecture` or `architecture:task`.

    Raises:
        ValueError: If a name is of none.
    """
    every = pairs()
    for name in names:
        if not any(name in (one.architecture, one.name) for one in every):
            raise ValueError(f"{name!r} is not an architecture, nor an architecture:task")
    return [one for one in every if one.architecture in names or one.name in names]
