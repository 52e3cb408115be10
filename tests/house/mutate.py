"""A mutation run: which changes of a file no test notices. `make mutate FILE=…` starts it.

mutmut mutates one file in a copy of the repository under `build/mutate`, where the folders lie as
they are installed, and runs the tests that reach each mutated function. It mutates the bodies of
functions without decorators; what stands in the module or in a class body stays as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "allennlp_saliency"
FOLDERS = ("compat", "interpret", "predictors", "jobs", "views", "commands")
BESIDE = ("tests", "fixtures", "benchmarks")
# Exit codes of pytest in a mutant's process; mutmut's own are 33 and above.
_SURVIVED, _WITHOUT_TESTS, _NOT_RUN = 0, 33, None
_KILLED = (1, 3)
_CONFIG = """
[tool.mutmut]
source_paths = ["{package}"]
only_mutate = ["{package}/{file}"]
also_copy = {beside}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-n", "0", "-m", "not slow and not gpu"]
pytest_add_cli_args_test_selection = {tests}
process_isolation = "forkserver"
timeout_constant = 5.0
timeout_multiplier = 4.0
"""
_LIST = """
import pathlib, sys
from mutmut.mutation.file_mutation import mutate_file_contents
path = pathlib.Path(sys.argv[1])
print(*mutate_file_contents(path, path.read_text(encoding="utf-8")).mutant_names, sep="\\n")
"""


def chosen_tests(file: str, also: Sequence[str]) -> list[str]:
    """The tests of a file of the product: those named after it and others, or else all tests of its
    folder."""
    path = Path("tests") / file
    named = path.with_name(f"test_{path.name}")
    own = [str(named)] if (ROOT / named).exists() else []
    return [*own, *also] or [str(path.parent)]


def write_tree(tree: Path, file: str, tests: Sequence[str], root: Path = ROOT) -> None:
    """Copies a repository with its folders where they are installed, and mutmut's configuration."""
    shutil.rmtree(tree, ignore_errors=True)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / PACKAGE, tree / PACKAGE, ignore=unwanted)
    for folder in FOLDERS:
        if (root / folder).is_dir():
            shutil.copytree(root / folder, tree / PACKAGE / folder, ignore=unwanted)
    for folder in BESIDE:
        if (root / folder).is_dir():
            shutil.copytree(root / folder, tree / folder, ignore=unwanted)
    config = _CONFIG.format(
        package=PACKAGE, file=file, beside=json.dumps(BESIDE), tests=json.dumps(list(tests))
    )
    # Python forgets a folder of its path that is not there when it starts.
    (tree / "mutants").mkdir()
    own = (root / "pyproject.toml").read_text(encoding="utf-8")
    (tree / "pyproject.toml").write_text(own + config, encoding="utf-8")


def run(tree: Path, *arguments: str) -> str:
    """What Python prints, in the tree, with the mutated package in the place of the installed."""
    path = os.pathsep.join([str(tree / "mutants"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"python {' '.join(arguments[:3])} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def mutants_of(tree: Path, file: str) -> list[str]:
    """The names of all mutants of a file, in the order of the file."""
    module = ".".join((PACKAGE, *Path(file).with_suffix("").parts))
    names = run(tree, "-c", _LIST, f"{PACKAGE}/{file}").split()
    return [f"{module}.{name}" for name in names]


def status(code: int | None) -> str:
    """What became of a mutant, by the exit code of its tests."""
    if code in _KILLED:
        return "killed"
    if code == _SURVIVED:
        return "survived"
    if code == _WITHOUT_TESTS:
        return "no test reaches it"
    return "not run" if code is _NOT_RUN else "timeout"


def mutate(
    file: str, tests: Sequence[str], sample: int | None, root: Path = ROOT
) -> tuple[dict[str, str], int]:
    """Runs the tests on mutants of a file.

    Args:
        file: Its path from the root, such as `interpret/rules/steps.py`.
        tests: Files and folders of tests.
        sample: How many mutants to try, drawn with a fixed seed; None for all.
        root: The repository.

    Returns:
        What became of each mutant that was tried, by its name, and how many mutants there are.
    """
    tree = root / "build" / "mutate"
    write_tree(tree, file, tests, root)
    every = mutants_of(tree, file)
    chosen = every
    if sample is not None and sample < len(every):
        chosen = sorted(random.Random(0).sample(every, sample), key=every.index)
    run(tree, "-m", "mutmut", "run", "--max-children", "1", *chosen)
    meta = (tree / "mutants" / PACKAGE / f"{file}.meta").read_text(encoding="utf-8")
    codes = json.loads(meta)["exit_code_by_key"]
    return {name: status(codes[name]) for name in chosen}, len(every)


def shown(root: Path, mutant: str) -> str:
    """What a mutant of the last run changes, as a diff."""
    return run(root / "build" / "mutate", "-m", "mutmut", "show", mutant)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="a file of the product, such as interpret/rules/steps.py")
    parser.add_argument("tests", nargs="*", help="tests beside those named after the file")
    parser.add_argument("--sample", type=int, help="try so many mutants, drawn with a fixed seed")
    given = parser.parse_intermixed_args()
    tests = chosen_tests(given.file, given.tests)
    found, total = mutate(given.file, tests, given.sample)
    counts = Counter(found.values())
    for name, became in found.items():
        if became not in ("killed", "timeout"):
            print(shown(ROOT, name))
    detected = counts["killed"] + counts["timeout"]
    print(f"{given.file}: {len(found)} of {total} mutants, with {' '.join(tests)}")
    print(", ".join(f"{count} {became}" for became, count in counts.most_common()))
    print(f"score: {detected}/{len(found)} = {detected / max(len(found), 1):.0%}")


if __name__ == "__main__":
    main()
