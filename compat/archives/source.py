"""Which archive is being loaded in this context, and what its user has allowed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

REMOTE_CODE = "trust_remote_code"
_DEEPEST = 8  # archives that load archives that load archives


@dataclass(frozen=True)
class ArchiveSource:
    """An archive whose configuration is not the user's own.

    Args:
        name: The archive as its user named it.
        named_by_user: The strings in the user's overrides. A class that is named there is looked
            up as AllenNLP does.
        runs_code: Whether the user allows Python files of the archive, or of a model on the hub
            that it names, to run.
        reads_pickles: Whether the user allows weights that are more than tensors.
    """

    name: str
    named_by_user: frozenset[str] = field(default=frozenset(), repr=False)
    runs_code: bool = False
    reads_pickles: bool = False


class ArchiveText(str):
    """A text of an archive's configuration, which may be the name of a class.

    Attributes:
        archive_source: The archive.
    """

    archive_source: ArchiveSource

    @classmethod
    def of(cls, text: str, source: ArchiveSource) -> str:
        """The text, which remembers the archive where it can be the full name of a class."""
        if "." not in text:
            return text
        found = cls(text)
        found.archive_source = source
        return found


# The archives that are being loaded, the innermost last. A context variable, so that a model that
# another thread builds meanwhile is not concerned.
_loading: ContextVar[tuple[ArchiveSource, ...]] = ContextVar("loading_archives", default=())


def current_source() -> ArchiveSource | None:
    """The archive that is being loaded in this context; None if there is none."""
    sources = _loading.get()
    return sources[-1] if sources else None


@contextmanager
def within(source: ArchiveSource) -> Iterator[None]:
    """Holds what is built in this context to the rules for that archive.

    Raises:
        allennlp.common.checks.ConfigurationError: If archives name one another without an end.
    """
    from allennlp.common.checks import ConfigurationError

    sources = _loading.get()
    if len(sources) >= _DEEPEST:
        raise ConfigurationError(
            f"The archive {source.name} was not loaded: archives name one another, {_DEEPEST} deep."
        )
    token = _loading.set((*sources, source))
    try:
        yield
    finally:
        _loading.reset(token)


def source_of(name: str, overrides: Mapping[str, Any]) -> ArchiveSource:
    """What the user allows an archive, by their overrides.

    The overrides of an archive that is loaded because another archive names it come from that one,
    so they allow nothing; it is allowed what the outer one is.

    Args:
        name: The archive as its user named it.
        overrides: The overrides, parsed.
    """
    outer = current_source()
    if outer is not None:
        return ArchiveSource(
            name, outer.named_by_user, outer.runs_code, reads_pickles=outer.reads_pickles
        )
    return ArchiveSource(
        name,
        frozenset(_strings(overrides)),
        runs_code=_says(overrides, REMOTE_CODE, True),
        reads_pickles=_says(overrides, "weights_only", False),
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _says(value: Any, key: str, wanted: bool) -> bool:
    """Whether a key of this name, or one that ends in it behind a dot, has this value."""
    if isinstance(value, list):
        return any(_says(item, key, wanted) for item in value)
    if not isinstance(value, Mapping):
        return False
    return any(
        (name.rpartition(".")[2] == key and item is wanted) or _says(item, key, wanted)
        for name, item in value.items()
    )
