"""Archives of allennlp-models' predictors, built once a session."""

from __future__ import annotations

import pytest

pytest.importorskip("allennlp_models")

from tests.zoo.allennlp_models import Archives


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Small archives of every kind."""
    return Archives(tmp_path_factory.mktemp("archives"))
