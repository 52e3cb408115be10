"""What `allennlp-saliency enable` writes, and where: the `.pth` file and the plugins files."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from .plugins import PLUGIN

PTH_NAME = "allennlp_saliency.pth"
HOOK_NAME = "AllenNLPSaliencyHook"

# Python runs this line at every start, so it loads nothing. It waits for `import allennlp`, and
# does nothing at all where this package has been uninstalled in the meantime.
PTH_LINE = (
    f"import sys; sys.meta_path.insert(0, type({HOOK_NAME!r}, (), "
    "{'find_spec': lambda self, name, path=None, target=None: "
    "__import__('allennlp_saliency.compat').compat.find_spec(name, path, target) "
    "if name == 'allennlp' and __import__('importlib.util').util.find_spec('allennlp_saliency') "
    "else None})())\n"
)


def pth_file() -> Path:
    """The `.pth` file of the environment that runs this."""
    return Path(sysconfig.get_path("purelib")) / PTH_NAME


def global_plugins_file() -> Path:
    """AllenNLP's plugins file in the user's home folder."""
    return Path.home() / ".allennlp" / "plugins"


def local_plugins_file() -> Path:
    """AllenNLP's plugins file in the current folder."""
    return Path.cwd() / ".allennlp_plugins"


def write_pth() -> bool:
    """Write the `.pth` file; False where it is there already.

    Raises:
        PermissionError: the environment is not the user's to write to.
    """
    path = pth_file()
    if path.is_file() and path.read_text(encoding="utf-8") == PTH_LINE:
        return False
    _write(path, PTH_LINE)
    return True


def remove_pth() -> bool:
    """Remove the `.pth` file; False where there is none."""
    path = pth_file()
    if not path.exists():
        return False
    path.unlink()
    return True


def pth_works() -> bool:
    """Whether a Python started now has the hook in place."""
    code = f"import sys; sys.exit({HOOK_NAME!r} not in [type(f).__name__ for f in sys.meta_path])"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def listed_plugins(path: Path) -> list[str]:
    """The modules that a plugins file names."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def add_plugin(path: Path) -> bool:
    """Add our plugin to a plugins file and keep what stands there; False where it is listed."""
    if PLUGIN in listed_plugins(path):
        return False
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text and not text.endswith("\n"):
        text += "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, f"{text}{PLUGIN}\n")
    return True


def remove_plugin(path: Path) -> bool:
    """Take our plugin out of a plugins file, and the file away where nothing else is in it."""
    if PLUGIN not in listed_plugins(path):
        return False
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if line.strip() != PLUGIN)
    if kept.strip():
        _write(path, kept)
    else:
        path.unlink()
    return True


def _write(path: Path, text: str) -> None:
    """Write a file in one go, so that no Python that starts meanwhile reads half of it."""
    # A symbolic link stays one: dot files are often kept elsewhere.
    path = path.resolve()
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
