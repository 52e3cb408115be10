"""An arrow only points down: which room imports from which, read from the source."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from .rooms import MAY_IMPORT, ROOT, Import, imports, modules, room

EVERY = list(imports())
MODULES = modules()
_HOOKS = re.compile(r"\.register_(forward|full_backward|backward|module)\w*hook\(")


def shown(found: list[Import]) -> str:
    return "\n".join(f"{one.importer}:{one.line} imports {one.imported}" for one in found)


def within(folder: str, name: str) -> bool:
    return name == folder or name.startswith(f"{folder}.")


def test_the_imports_are_read() -> None:
    """Otherwise the tests below would hold nothing."""
    pairs = {(one.importer, one.imported) for one in EVERY}
    assert ("interpret.space.embedding_space", "interpret.model.twin") in pairs
    assert ("predictors.saliency.predictor", "interpret") in pairs
    rooms = {path.parent.name for path in (ROOT / "interpret").glob("*/__init__.py")}
    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize("name", list(MAY_IMPORT))
def test_an_arrow_of_interpret_points_down(name: str) -> None:
    own = f"interpret.{name}"
    wrong = [
        one
        for one in EVERY
        if within(own, one.importer)
        and within("interpret", one.imported)
        and not within(own, one.imported)
        and (one.imported == "interpret" or room(one.imported) not in MAY_IMPORT[name])
    ]
    assert not wrong, shown(wrong)


def test_the_ground_floor_knows_no_room() -> None:
    ground = [name for name in MODULES if name.count(".") == 1 and within("interpret", name)]
    ground = [name for name in ground if room(name) not in MAY_IMPORT]
    wrong = [
        one
        for one in EVERY
        if one.importer in ground
        and within("interpret", one.imported)
        and one.imported not in ground
    ]
    assert not wrong, shown(wrong)


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("interpret", ()),
        # A word in a view is a word in a score.
        ("views", ("interpret.explanation", "interpret.inputs.token_groups")),
        ("predictors", ("interpret", "compat")),
        ("jobs", ("interpret", "predictors", "compat")),
    ],
)
def test_folders_know_only_what_is_below_them(folder: str, allowed: tuple[str, ...]) -> None:
    wrong = [
        one
        for one in EVERY
        if within(folder, one.importer)
        and not within(folder, one.imported)
        and not any(within(other, one.imported) for other in allowed)
    ]
    assert not wrong, shown(wrong)


def test_there_are_no_circles() -> None:
    below: dict[str, set[str]] = defaultdict(set)
    for one in EVERY:
        # A package says what is public; that its parts are imported through it is no circle.
        if MODULES[one.importer].name != "__init__.py":
            below[one.importer].add(one.imported)
    state: dict[str, bool] = {}

    def visit(name: str, path: list[str]) -> None:
        assert name not in path, " imports ".join([*path[path.index(name) :], name])
        if name in state:
            return
        for other in sorted(below[name]):
            visit(other, [*path, name])
        state[name] = True

    for name in sorted(MODULES):
        visit(name, [])


def test_hooks_are_registered_where_the_model_is_run() -> None:
    rooms = ("interpret/model", "interpret/space", "interpret/attention")
    of_models = ("predictors/allennlp_models", "predictors/transformers/model")
    found = {
        str(path.relative_to(ROOT).parent)
        for path in MODULES.values()
        if _HOOKS.search(path.read_text(encoding="utf-8"))
    }
    assert found
    assert not [name for name in found if not name.startswith((*rooms, *of_models))]


def test_every_room_says_what_it_knows() -> None:
    packages = [path for path in MODULES.values() if path.name == "__init__.py"]
    without = [
        str(path.relative_to(ROOT))
        for path in packages
        if not Path(path).read_text(encoding="utf-8").startswith('"""')
    ]
    assert not without


def test_there_are_two_doors_upwards() -> None:
    """Modules above that are named, and imported when somebody asks: the view of what is shown, and
    the labels of other people's predictors. Nothing else imports by a name."""
    by_name = re.compile(r"import_module\(|__import__\(")
    above = re.compile(r"[\"']allennlp_saliency\.((?:views|commands|predictors)[\w.]*)")
    texts = {
        name: path.read_text(encoding="utf-8")
        for name, path in MODULES.items()
        if within("interpret", name)
    }
    doors = {name: above.findall(text) for name, text in texts.items() if above.search(text)}
    assert doors == {
        "interpret.display": ["views.notebook"],
        "interpret.interpreter.labels.predictor_labels": ["predictors.allennlp_models"],
    }
    assert all(found[0] in MODULES for found in doors.values())
    assert {name for name, text in texts.items() if by_name.search(text)} == {*doors}
