"""What `doctor` says of allennlp-models, whole, without what it imports, and half."""

from __future__ import annotations

import importlib.metadata
import shutil
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("allennlp_models")

EXTRA = ("conllu", "ftfy", "py-rouge", "word2number")


def _doctor(environment: Any) -> Any:
    assert environment.console("enable", "--no-plugins-file").returncode == 0
    return environment.console("doctor")


def _line(text: str, what: str) -> str:
    return next(line for line in text.splitlines() if f" {what} " in line)


@pytest.mark.slow
def test_without_the_package_nothing_is_said_of_it(environment: Any) -> None:
    environment.without("allennlp-models", *EXTRA)
    done = _doctor(environment)
    assert done.returncode == 0, done.stdout
    assert "allennlp_models" not in done.stdout
    assert "All is well" in done.stdout
    listed = environment.run("-m", "allennlp", "predict", "--help")
    assert listed.returncode == 0
    assert "allennlp_models" not in listed.stderr


def test_without_the_extra_each_distribution_is_named(environment: Any) -> None:
    environment.without(*EXTRA)
    done = _doctor(environment)
    assert done.returncode == 1
    for name in EXTRA:
        assert "not installed" in _line(done.stdout, name)
        assert "needed by allennlp-models" in _line(done.stdout, name)
    assert 'pip install "conllu==4.4.2"    (conllu)' in done.stdout
    plugin = _line(done.stdout, "allennlp_models")
    assert plugin.startswith("  WRONG")
    assert "half-loaded" in plugin
    assert "No module named 'conllu'" in plugin
    assert 'pip install ".[models]"' in done.stdout
    assert "WRONG" not in done.stdout.partition("\nshims")[2].partition("\nplugins")[0]


NO_MEND = (
    "from allennlp_saliency.compat import console, registry\n"
    "mends = ('rouge-resources', 'narrative-qa')\n"
    "registry._shims[:] = [s for s in registry._shims if s.name not in mends]\n"
    "raise SystemExit(console.main(['doctor']))"
)


@pytest.mark.skipif(
    Version(importlib.metadata.version("setuptools")) < Version("82"),
    reason="this setuptools still has pkg_resources",
)
def test_setuptools_without_pkg_resources(environment: Any) -> None:
    well = _doctor(environment)
    assert well.returncode == 0, well.stdout
    assert _line(well.stdout, "allennlp_models").startswith("  ok")
    listed = environment.run("-W", "ignore", "-m", "allennlp", "predict", "--help")
    assert "could not be loaded" not in listed.stdout + listed.stderr

    # The same environment without the mend: the doctor would have said so.
    sick = environment.run("-c", NO_MEND)
    assert sick.returncode == 1
    plugin = _line(sick.stdout, "allennlp_models")
    assert plugin.startswith("  WRONG")
    assert "allennlp_models.rc.tools.narrativeqa" in plugin
    assert "No module named 'pkg_resources'" in plugin


@pytest.mark.slow
def test_setuptools_with_pkg_resources(environment: Any) -> None:
    # Where the module is there, it is the one that py-rouge gets.
    (environment.packages / "pkg_resources.py").write_text(
        "import os, sys\n"
        "def resource_filename(module, name):\n"
        "    return os.path.join(os.path.dirname(sys.modules[module].__file__), name)\n"
    )
    done = environment.run(
        "-W",
        "ignore",
        "-c",
        "import allennlp_saliency, allennlp_models.rc.tools.narrativeqa, rouge.rouge\n"
        "from allennlp_saliency.compat import shims\n"
        "print([s.state for s in shims() if s.name == 'rouge-resources'],"
        " rouge.rouge.pkg_resources.__file__)",
    )
    assert done.stdout.split(maxsplit=2)[:2] == ["['not", "needed']"], done.stderr
    assert done.stdout.rstrip().endswith("pkg_resources.py")


def _half(environment: Any) -> None:
    seen = environment.without()
    package = seen / "allennlp_models"
    original = package.resolve()
    package.unlink()
    package.mkdir()
    for path in original.iterdir():
        (package / path.name).symlink_to(path)
    (package / "tagging").unlink()
    shutil.copytree(original / "tagging", package / "tagging")
    (package / "tagging" / "__init__.py").write_text("raise RuntimeError('the disk is full')\n")


def test_half_a_plugin(environment: Any) -> None:
    _half(environment)
    done = _doctor(environment)
    assert done.returncode == 1
    plugin = _line(done.stdout, "allennlp_models")
    assert plugin.startswith("  WRONG")
    assert "half-loaded, allennlp_models.tagging (RuntimeError: the disk is full)" in plugin
    assert "--force-reinstall --no-deps allennlp-models==2.10.1" in done.stdout
