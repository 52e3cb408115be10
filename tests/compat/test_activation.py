"""Importing, activating, and the state of the shims; each in a Python of its own."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from allennlp_saliency import compat
from allennlp_saliency.compat import registry
from allennlp_saliency.compat.environment import HOOK_NAME

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run code in a new Python, in an empty folder, and return what it prints as JSON."""

    def execute(code: str, *paths: Path) -> Any:
        # As in an environment that has not been enabled.
        inserted = (
            "import sys\n"
            "sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "
            f"{HOOK_NAME!r}]\n"
        )
        inserted += "".join(f"sys.path.insert(0, {str(path)!r})\n" for path in paths)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", inserted + code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return execute


def test_importing_the_package_is_light(run: Run) -> None:
    heavy = run(
        "import sys, json, allennlp_saliency, allennlp_saliency.compat.environment\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(json.dumps(sorted(names & {'torch', 'allennlp', 'transformers', 'numpy', 'spacy',"
        " 'rich', 'huggingface_hub'})))"
    )
    assert heavy == []


EVERYTHING = """
import json, sys
import allennlp_saliency
from allennlp.common.plugins import import_plugins
import_plugins()
import transformers, huggingface_hub
print(json.dumps({
    "states": [[s.name, s.module, s.state, s.error] for s in allennlp_saliency.compat.shims()
               if s.state == "failed" or not s.optional],
    "plugin": "allennlp_saliency.plugin" in sys.modules,
    "torchvision": [n for n in sys.modules if n.startswith("torchvision")],
    "left": [hasattr(transformers, "AdamW"), hasattr(huggingface_hub, "HfFolder")],
    "modules": sum(name.startswith("allennlp.") for name in sys.modules),
}))
"""


def test_every_module_of_allennlp_imports_and_every_shim_decides(run: Run) -> None:
    found = run(EVERYTHING)
    undecided = [s[1] for s in found["states"] if s[2] not in ("active", "not needed")]
    # It need not be installed.
    assert [name for name in undecided if not name.startswith("allennlp_models.")] == []
    assert found["modules"] > 250
    # Without a plugins file: the working folder and nothing in it.
    assert found["plugin"]
    # What a shim lends a library is there during the import only.
    active = {name for name, _, state, _ in found["states"] if state == "active"}
    for shim, left in zip(("hugging-face-adamw", "hub-placeholders"), found["left"], strict=True):
        assert left is (shim not in active)


BROKEN = 'raise RuntimeError("operator torchvision::nms does not exist")\n'
FITTING = "from . import ops\n"


def _torchvision(folder: Path, init: str) -> Path:
    (folder / "torchvision" / "ops").mkdir(parents=True)
    (folder / "torchvision" / "__init__.py").write_text(init)
    (folder / "torchvision" / "ops" / "__init__.py").write_text("from . import boxes\n")
    (folder / "torchvision" / "ops" / "boxes.py").write_text("")
    return folder


@pytest.mark.parametrize(
    ("init", "state", "left"),
    [(BROKEN, "active", False), (FITTING, "not needed", True)],
    ids=["unfit", "fitting"],
)
def test_torchvision_installed(run: Run, tmp_path: Path, init: str, state: str, left: bool) -> None:
    found = run(
        "import json, sys, allennlp_saliency\n"
        "import allennlp.data.image_loader as module\n"
        "from allennlp_saliency.compat import shims\n"
        "print(json.dumps([[s.state for s in shims() if s.module == module.__name__],"
        " 'torchvision' in sys.modules]))",
        _torchvision(tmp_path, init),
    )
    assert found == [[state], left]


def test_touching_images_says_what_to_install(tmp_path: Path) -> None:
    from allennlp.data.image_loader import TorchImageLoader

    state = next(s for s in compat.shims() if s.module == "allennlp.data.image_loader").state
    if state == registry.NOT_NEEDED:
        pytest.skip("torchvision is installed here")
    (tmp_path / "image.png").write_bytes(b"")
    with pytest.raises(ImportError, match=r"needed for images.*pip install torchvision"):
        TorchImageLoader()(str(tmp_path / "image.png"))


def test_pushing_to_the_hub_says_what_to_use() -> None:
    push_to_hf = importlib.import_module("allennlp.common.push_to_hf")
    if next(s for s in compat.shims() if s.name == "hub-placeholders").state == registry.NOT_NEEDED:
        pytest.skip("this huggingface_hub has both classes")
    with pytest.raises(ImportError, match=r"huggingface_hub\.get_token"):
        push_to_hf.HfFolder.get_token()
    with pytest.raises(ImportError, match="upload_folder"):
        push_to_hf.Repository("folder")


def test_allennlp_imported_before_this_package(run: Run) -> None:
    found = run(
        "import json, allennlp\n"
        "from transformers import PreTrainedTokenizerBase as base\n"
        "before = hasattr(base, 'encode_plus')\n"
        "import allennlp_saliency\n"
        "from allennlp.predictors import Predictor\n"
        "shims = allennlp_saliency.compat.shims()\n"
        "state = next(s.state for s in shims if s.module == 'allennlp' and not s.optional)\n"
        "print(json.dumps([before, hasattr(base, 'encode_plus'), state]))"
    )
    assert found in ([False, True, "active"], [True, True, "not needed"])


def test_replaced_functions_are_replaced_where_they_were_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, early, foreign = ModuleType("ours"), ModuleType("early"), ModuleType("foreign")
    for module in (ours, early, foreign):
        module.__dict__["function"] = len
    monkeypatch.setitem(sys.modules, "allennlp.early", early)
    monkeypatch.setitem(sys.modules, "foreign", foreign)
    registry.replace(ours, "function", sum)
    assert [vars(m)["function"] for m in (ours, early, foreign)] == [sum, sum, len]


def test_activating_twice_installs_one_finder() -> None:
    compat.activate()
    compat.activate()
    assert sum(isinstance(f, registry.AllenNLPFinder) for f in sys.meta_path) == 1
    assert sys.meta_path.index(registry.FINDER) < len(sys.meta_path) - 1


@pytest.mark.parametrize("name", ["json", "allennlp_models", "allennlpx.common", "torch"])
def test_other_modules_are_none_of_the_finders_business(name: str) -> None:
    assert registry.FINDER.find_spec(name, None) is None


def test_modules_keep_their_own_loader() -> None:
    import allennlp.common.util as util

    assert type(util.__loader__) is SourceFileLoader
    assert util.__spec__ is not None
    assert util.__spec__.loader is util.__loader__


def _execute(tmp_path: Path, *module_shims: registry.Shim) -> Any:
    (tmp_path / "mended.py").write_text("import os\nname = os.environ.get('SHIM_TEST', '')\n")
    loader = registry.ShimmedLoader(
        SourceFileLoader("mended", str(tmp_path / "mended.py")), list(module_shims)
    )
    spec = spec_from_loader("mended", loader, origin=str(tmp_path / "mended.py"))
    assert isinstance(spec, ModuleSpec)
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_shim_that_fails_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    def broken(module: Any) -> bool:
        raise AttributeError("transformers 9 has no such thing")

    shim = registry.Shim("broken", "mended", "because", after=broken)
    with pytest.warns(RuntimeWarning, match=r"could not mend mended \(because\).*doctor"):
        module = _execute(tmp_path, shim)
    assert module.name == ""
    assert (shim.state, shim.error) == (
        "failed",
        "AttributeError: transformers 9 has no such thing",
    )


def test_an_around_shim_is_undone_even_if_the_module_fails(tmp_path: Path) -> None:
    events = []

    def watch() -> Any:
        events.append("before")
        try:
            yield True
        finally:
            events.append("after")

    shim = registry.Shim("watch", "mended", "because", around=watch)
    _execute(tmp_path, shim)
    assert (events, shim.state) == (["before", "after"], "active")

    (tmp_path / "mended.py").write_text("raise ImportError('no')\n")
    loader = registry.ShimmedLoader(SourceFileLoader("mended", str(tmp_path / "mended.py")), [shim])
    spec = spec_from_loader("mended", loader)
    assert spec is not None
    with pytest.raises(ImportError, match="no"):
        loader.exec_module(module_from_spec(spec))
    assert events == ["before", "after"] * 2


def test_every_shim_says_why_in_one_line() -> None:
    """The reason stands in brackets in a warning: one line, no full stop, its own in its module."""
    shims = compat.shims()
    for shim in shims:
        assert registry.is_mended(shim.module)
        assert "\n" not in shim.why
        assert shim.why == shim.why.strip().rstrip(".")
        assert shim.why not in ("", shim.name, shim.module)
    assert len({(shim.module, shim.why) for shim in shims}) == len(shims)
