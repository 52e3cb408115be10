"""An environment of its own that sees this repository and the installed libraries."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Environment:
    """A virtual environment that is not enabled yet."""

    python: Path
    home: Path
    folder: Path
    packages: Path

    def run(self, *arguments: str, local: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python in an empty folder and with a home folder of its own."""
        foreign = ("PYTHON", "PYTEST", "ALLENNLP")
        variables = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=local or self.folder,
            env=variables | {"HOME": str(self.home), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def console(
        self, *arguments: str, local: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the console script."""
        return self.run("-m", "allennlp_saliency.compat", *arguments, local=local)

    def uninstall(self) -> None:
        """Take the package away, as `pip uninstall` does, and leave the `.pth` file of `enable`."""
        (self.packages / "tree.pth").unlink()

    def without(self, *distributions: str) -> Path:
        """See the libraries but these distributions, and return the folder of what is seen."""
        hidden = {name for given in distributions for name in _entries(given)}
        seen = self.packages.parent / "seen"
        seen.mkdir()
        listed = self.packages / "libraries.pth"
        for folder in listed.read_text().splitlines():
            for path in Path(folder).iterdir():
                link = seen / path.name
                if path.name not in hidden and path.suffix != ".pth" and not link.exists():
                    link.symlink_to(path)
        listed.write_text(f"{seen}\n")
        return seen


def _entries(distribution: str) -> set[str]:
    """What a distribution has put directly into the site-packages."""
    files = importlib.metadata.files(distribution) or ()
    return {file.parts[0] for file in files if file.parts[0] != ".."}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Libraries from here, the package from the repository, nothing enabled."""
    tree = tmp_path / "tree"
    top = tree / "allennlp_saliency"
    top.mkdir(parents=True)
    for path in (ROOT / "allennlp_saliency").glob("*.py"):
        (top / path.name).symlink_to(path)
    for folder in ("compat", "interpret", "predictors", "jobs", "commands", "views"):
        (top / folder).symlink_to(ROOT / folder)
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True
    )
    python = tmp_path / "venv" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    packages = Path(found.stdout.strip())
    # A path in a `.pth` file is put on sys.path; the `.pth` files in it are not read.
    here = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "libraries.pth").write_text("\n".join([*here, ""]))
    (packages / "tree.pth").write_text(f"import sys; sys.path.insert(0, {str(tree)!r})\n")
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    return Environment(python, home, folder, packages)
