"""What is installed, and under which names."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from allennlp_saliency.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("compat", "interpret", "predictors", "jobs", "commands", "views")


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {_normal(name): version for name, version in pins}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_requirement_has_a_tested_version_that_it_allows() -> None:
    pins = _pins()
    needed = [Requirement(text) for text in importlib.metadata.requires("allennlp-saliency") or ()]
    assert {"torch", "transformers", "numpy", "spacy", "captum", "pytest", "conllu"} <= {
        need.name for need in needed
    }
    for need in needed:
        assert need.specifier.contains(pins[_normal(need.name)]), need
    # AllenNLP and its models cannot be requirements: their own pins cannot be met.
    assert not {"allennlp", "allennlp-models"} & ({need.name for need in needed} | set(pins))


def test_one_version() -> None:
    assert importlib.metadata.version("allennlp-saliency") == VERSION
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


def test_folders_are_never_importable_under_their_bare_names(tmp_path: Path) -> None:
    code = (
        "from importlib.util import find_spec\n"
        f"for name in {FOLDERS!r}:\n"
        "    assert find_spec(name) is None, name\n"
        "    assert find_spec('allennlp_saliency.' + name), name"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_nothing_that_is_committed_names_this_machine_or_an_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    wrong = re.compile(r"(index-url|find-links)[ =]|https?://[^ ]*/simple\b")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".txt", ".toml", ".cfg", ".md", "") and path.is_file():
            assert not wrong.search(path.read_text(encoding="utf-8", errors="replace")), name


@pytest.mark.slow
def test_a_wheel_holds_every_module_under_the_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)],
        check=True,
    )
    (wheel,) = tmp_path.glob("allennlp_saliency-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"allennlp_saliency"}
    expected = {
        f"allennlp_saliency/{path.relative_to(ROOT)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    expected |= {f"allennlp_saliency/{p.name}" for p in (ROOT / "allennlp_saliency").glob("*.py")}
    assert expected | {"allennlp_saliency/py.typed"} <= set(names)


@pytest.mark.slow
def test_installed_as_the_readme_says(tmp_path: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    binaries = tmp_path / "venv" / "bin"
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    pip = (str(binaries / "python"), "-m", "pip", "install", "-q")
    run(*pip, "-c", str(ROOT / "constraints.txt"), str(ROOT))
    run(*pip, "--no-deps", "allennlp==2.10.1")
    run(str(binaries / "allennlp-saliency"), "enable", "--no-plugins-file")
    assert "predict" in run(str(binaries / "allennlp"), "--help")
    assert "All is well" in run(str(binaries / "allennlp-saliency"), "doctor")
