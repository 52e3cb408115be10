"""Stand-ins for what a module imports, on libraries made for it."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from allennlp_saliency.compat.importing.deferring_import import (
    Deferred,
    DeferringImport,
    show_real_things,
)
from allennlp_saliency.compat.importing.stand_ins import StandIn

HEAVY = """
from heavy import deep
TABLE = {"a": 1}
class Thing:
    def __init__(self, value=0):
        self.value = value
class Error(Exception):
    pass
def double(x):
    return 2 * x
"""
USER = """
import heavy
import heavy.deep as deep
from heavy import TABLE, Thing, double as twice
from typing import List, Optional, Union

def make(things: List[Thing], other: Union[str, Thing], last: Optional[heavy.Thing]) -> heavy.Thing:
    return Thing(3)

def is_thing(x):
    return isinstance(x, (int, Thing, heavy.Thing))

def fails():
    try:
        raise heavy.Error("x")
    except heavy.Error as error:
        return type(error)

def looks_up(key):
    return TABLE[key], key in TABLE, twice(4), deep.VALUE
"""
DEFERRED = Deferred(
    ("heavy", "heavy.deep", "heavy.Thing", "heavy.TABLE", "heavy.double"),
)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that imports a library, which is only there when it is used."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text(HEAVY)
    (package / "deep.py").write_text("VALUE = 5\n")
    module = ModuleType("user_of_heavy")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    importing = DeferringImport(module, DEFERRED)
    exec(compile(USER, "user_of_heavy.py", "exec"), vars(module))
    importing.hand_back()
    show_real_things(module)
    assert importing
    yield module
    for name in [name for name in sys.modules if name.partition(".")[0] == "heavy"]:
        del sys.modules[name]


def test_nothing_is_imported_before_it_is_used(user: ModuleType) -> None:
    assert user.is_thing(1)
    assert not user.is_thing("x")
    inspect.signature(user.make)
    assert "heavy" not in sys.modules


def test_functions_of_the_module_have_the_real_builtins(user: ModuleType) -> None:
    assert user.make.__builtins__ is importlib.__builtins__


def test_the_first_use_puts_the_real_things_in_place(user: ModuleType) -> None:
    made = user.make([], "", None)
    import heavy

    assert type(made) is heavy.Thing
    assert made.value == 3
    assert user.is_thing(made)
    # Everything of the library, so that no stand-in is handed on as an argument.
    assert not any(isinstance(value, StandIn) for value in vars(user).values())
    assert vars(user)["Thing"] is heavy.Thing
    assert vars(user)["TABLE"] is heavy.TABLE


def test_exceptions_are_caught(user: ModuleType) -> None:
    assert user.fails().__name__ == "Error"


def test_tables_functions_and_submodules(user: ModuleType) -> None:
    assert user.looks_up("a") == (1, True, 8, 5)


def test_from_outside_only_the_real_things_are_seen(user: ModuleType) -> None:
    assert "heavy" not in sys.modules
    thing = user.Thing
    import heavy

    assert thing is heavy.Thing
    assert user.heavy is heavy
    assert user.deep is heavy.deep
    assert user.twice is heavy.double

    class Below(user.Thing):  # type: ignore[name-defined]
        pass

    assert issubclass(Below, heavy.Thing)
    assert user.is_thing(Below())


def test_the_module_can_be_patched_pickled_and_loses_names(
    user: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(user, "Thing", lambda value: {})
        assert user.make([], "", None) == {}
    assert user.Thing.__name__ == "Thing"
    assert pickle.loads(pickle.dumps(user)) is user
    del user.Thing
    assert not hasattr(user, "Thing")


def test_a_stand_in_is_subclassed_compared_copied_and_pickled_as_the_real_thing(
    user: ModuleType,
) -> None:
    stand_in = vars(user)["Thing"]
    other = vars(user)["twice"]
    assert type(stand_in) is StandIn
    assert stand_in != "Thing"
    assert stand_in != other
    assert "heavy" not in sys.modules

    class Below(stand_in):
        pass

    import heavy

    assert Below.__mro__[1] is heavy.Thing
    assert stand_in == heavy.Thing
    assert issubclass(Below, stand_in)
    assert pickle.loads(pickle.dumps(stand_in)) is heavy.Thing
    assert copy.deepcopy(other) is heavy.double


def test_threads_get_the_same_thing(user: ModuleType) -> None:
    made: list[Any] = []
    threads = [threading.Thread(target=lambda: made.append(user.make([], "", None))) for _ in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert type(made[0]) is type(made[1])


def test_what_is_loaded_already_is_given_at_once(tmp_path: Path) -> None:
    module = ModuleType("user_of_json")
    importing = DeferringImport(module, Deferred(("json", "json.JSONDecodeError")))
    exec("import json\nfrom json import JSONDecodeError", vars(module))
    import json

    assert vars(module)["json"] is json
    assert vars(module)["JSONDecodeError"] is json.JSONDecodeError
    assert not importing


def test_what_is_not_installed_is_missed_where_it_is_imported() -> None:
    module = ModuleType("user_of_nothing")
    DeferringImport(module, Deferred(("no_such_library", "no_such_library.Name")))
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        exec("import no_such_library", vars(module))
    DeferringImport(module, Deferred(("no_such_library", "no_such_library.Name")))
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        exec("from no_such_library import Name", vars(module))
