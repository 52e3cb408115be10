"""What allennlp-models does, and asks for, while it is imported."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from ..importing.lazy_imports import wanted
from ..registry import around


@around(
    "allennlp_models.rc.tools.narrativeqa",
    why="its import downloads nltk's data, and every command of AllenNLP imports it",
)
def nltk_download() -> Iterator[bool]:
    """Download nothing during the import; where the data is missing, nltk says so when asked.

    Where imports wait until they are used, `lazy_models` sees to it.
    """
    if wanted():
        return
    import nltk

    original, importer = nltk.download, threading.get_ident()

    def download(*args: Any, **kwargs: Any) -> Any:
        return threading.get_ident() != importer and original(*args, **kwargs)

    with patch.object(nltk, "download", download):
        yield True
