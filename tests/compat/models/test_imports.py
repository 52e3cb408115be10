"""Importing allennlp-models: whole, without a download, and without traces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from allennlp_saliency.compat import shims
from allennlp_saliency.compat.registry import FAILED, NOT_YET_IMPORTED

WALK = """
import json, sys
import allennlp_saliency
import nltk
asked, original = [], nltk.download
nltk.download = counting = lambda *args, **kwargs: asked.append(args)
from allennlp_saliency.compat.doctor import modules_of
import importlib
modules = [importlib.import_module(name).__name__ for name in modules_of("allennlp_models")]
from rouge import Rouge
from allennlp_models.rc.tools.narrativeqa import rouge_l
try:
    said = rouge_l("the film was good", ["the film is good"])["rouge-l"]["r"]
except LookupError as error:
    said = str(error)
print(json.dumps({
    "asked": asked,
    "own": nltk.download is counting,
    "left": "pkg_resources" in sys.modules,
    "said": said,
    "data": len(Rouge.WORDNET_KEY_VALUE),
    "modules": len(modules),
    "states": [[s.name, s.state] for s in allennlp_saliency.compat.shims()
               if s.module.startswith("allennlp_models.")],
}))
"""


def _run(code: str, folder: Path, **variables: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_module_is_imported_without_a_download(tmp_path: Path) -> None:
    found = _run(WALK, tmp_path)
    assert found["modules"] > 190
    assert [s for s in found["states"] if s[1] in (FAILED, NOT_YET_IMPORTED)] == []
    assert len(found["states"]) >= 10
    assert found["asked"] == []
    assert found["own"]
    assert not found["left"]
    # py-rouge found the files beside it.
    assert found["data"] > 1000
    # Three of four words in this order; without nltk's data, nltk says how to get it.
    assert found["said"] == 0.75 or "nltk.download('punkt_tab')" in found["said"]


ANOTHER_THREAD = """
import json, threading
import allennlp_saliency
import nltk
from allennlp_saliency.compat.importing.lazy_imports import nltk_download
asked = []
nltk.download = lambda *args: asked.append(args) or True
(shim,) = nltk_download
with shim.applied_around():
    answers = [nltk.download("here")]
    thread = threading.Thread(target=lambda: answers.append(nltk.download("there")))
    thread.start()
    thread.join()
print(json.dumps([answers, asked]))
"""


def test_another_thread_may_download_meanwhile(tmp_path: Path) -> None:
    # Where imports wait until they are used, nltk is not asked at all.
    at_once = {"ALLENNLP_SALIENCY_LAZY_IMPORTS": "0"}
    assert _run(ANOTHER_THREAD, tmp_path, **at_once) == [[False, True], [["there"]]]


def test_a_subpackage_imported_first_is_mended_too(tmp_path: Path) -> None:
    code = (
        "import json, allennlp_saliency\n"
        "import allennlp_models.generation.models.bart as bart\n"
        "print(json.dumps(bart.Bart._decoder_cache_to_dict.__module__))"
    )
    assert _run(code, tmp_path) == "allennlp_saliency.compat.models.bart"


def test_names_that_others_took_are_replaced() -> None:
    import allennlp_models.coref.predictors.coref as coref
    from allennlp.common import util

    # Imported by name from the module whose shim replaces it.
    assert coref.get_spacy_model is util.get_spacy_model
    assert all(shim.module.count(".") for shim in shims() if shim.module.startswith("allennlp_"))
