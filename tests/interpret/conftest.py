"""The zoo, and folders of transformers, built once a session."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.zoo import Zoo
from tests.zoo.embedder_transformers import OTHERS
from tests.zoo.transformers import write_transformer


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Small predictors of every family."""
    return Zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def bert(zoo: Zoo) -> str:
    """The folder of a small BERT."""
    return zoo.transformer("bert")


@pytest.fixture(scope="session")
def folder(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a transformer, of the zoo's or of `OTHERS`."""
    made: dict[str, str] = {}

    def find(name: str) -> str:
        if name not in OTHERS:
            return zoo.transformer(name)
        if name not in made:
            path = tmp_path_factory.mktemp("transformer") / name
            made[name] = str(write_transformer(path, OTHERS[name]))
        return made[name]

    return find
