"""What every test needs: no network, one thread, quiet logs; and the browser of those of pages."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ALLENNLP_LOG_LEVEL", "WARNING")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

# Makes AllenNLP importable, whatever the first test imports.
import allennlp_saliency  # noqa: F401

for name in ("allennlp", "transformers", "cached_path", "filelock", "matplotlib"):
    logging.getLogger(name).setLevel(logging.ERROR)
# Both come from libraries that AllenNLP needs and that this project does not call.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(spacy|weasel|fairscale)")

# A shell starts what runs in its background with Ctrl-C ignored, and the tests of Ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium: one, since a process runs Playwright once."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="pip install playwright axe-playwright-python"
    )
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip(
            "no Chromium on the PATH: `make browser` as root, or `apt-get install chromium` "
            "(macOS: `brew install chromium`), runs the tests of the pages"
        )
    with api.sync_playwright() as playwright:
        # Containers run as root, where Chromium has no sandbox.
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()
