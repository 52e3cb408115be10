"""The zoo, built once a session."""

from __future__ import annotations

import pytest

from tests.zoo import Zoo


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Small predictors of every family."""
    return Zoo(tmp_path_factory.mktemp("zoo"))
