"""The rooms of the product code, and the imports between them, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "allennlp_saliency"
FOLDERS = ("compat", "interpret", "predictors", "jobs", "views", "commands")

_GROUND = {"errors", "explanation", "reduction", "registry", "contracts", "checks"}
_GROUND |= {"positions", "nested", "explanations", "display"}
_MIDDLE = _GROUND | {"inputs", "operations", "model", "target", "space"}

MAY_IMPORT: dict[str, set[str]] = {
    "inputs": _GROUND,
    "operations": _GROUND,
    "model": _GROUND | {"inputs", "operations"},
    "target": _GROUND | {"inputs"},
    "space": _GROUND | {"inputs", "operations", "model", "target"},
    "rules": _MIDDLE,
    "attention": _MIDDLE,
    "interpreter": _MIDDLE,
    "coalitions": _MIDDLE,
    "methods": _MIDDLE | {"rules", "attention", "interpreter", "coalitions"},
    "faithfulness": _MIDDLE | {"interpreter", "coalitions"},
}
"""For each room of `interpret/`, from the ground up, which rooms and files it may import from. The
those in the middle (rules, attention, interpreter, coalitions) do not know each other."""


@dataclass(frozen=True)
class Import:
    """One module that another imports.

    Attributes:
        importer: The importing module, by its path from the root, dotted: `interpret.space.layout`.
        imported: The imported module, likewise.
        line: Where.
    """

    importer: str
    imported: str
    line: int


def modules() -> dict[str, Path]:
    """The product's modules by name."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> Iterator[Import]:
    """All imports of the product's modules from each other, those for type checkers included."""
    known = modules()
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                source = _absolute(name, path, node)
                for imported in {_module(source, alias.name, known) for alias in node.names}:
                    if imported:
                        yield Import(name, imported, node.lineno)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    imported = alias.name.removeprefix(f"{PACKAGE}.")
                    if imported in known and imported != alias.name:
                        yield Import(name, imported, node.lineno)


def _absolute(name: str, path: Path, node: ast.ImportFrom) -> str:
    """The module that an import names, by its path from the root."""
    if not node.level:
        module = node.module or ""
        return module.removeprefix(PACKAGE).lstrip(".") if module.startswith(PACKAGE) else "?"
    parts = name.split(".")
    if path.name != "__init__.py":
        parts = parts[:-1]
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _module(source: str, name: str, known: dict[str, Path]) -> str | None:
    within = f"{source}.{name}".lstrip(".")
    return within if within in known else source if source in known else None


def room(module: str) -> str:
    """The room of a module of `interpret/`: its folder, or its own name on the ground floor."""
    return module.split(".")[1]
