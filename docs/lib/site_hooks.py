"""What `mkdocs build` needs to make a site of pages that are written to be read on GitHub, too.

Pages outside `docs/` become pages of the site, links between files links between pages, headings
get the anchors that GitHub gives them, the notebook becomes a page, and the public names one each.
"""

from __future__ import annotations

import ast
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "lib"))

from site_markdown import as_python_markdown, class_titles, github_slug, outside_code  # noqa: E402
from site_notebook import NotebookPage  # noqa: E402

OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "fixtures/README.md": "fixtures.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
}
"""Pages of the repository that are not in `docs/`, and what they are on the site."""
ASSETS = {"LICENSE": "LICENSE.txt"}
TOUR = "tour.md"
# Written by another part of the project; without it the site is complete.
OPTIONAL = ("jobs.md",)
API = {
    "api/methods.md": ("methods", "interpret", lambda module: module.startswith("methods")),
    "api/interpret.md": ("interpreting", "interpret", lambda module: not module.startswith("meth")),
    "api/faithfulness.md": ("faithfulness", "interpret.faithfulness", lambda module: True),
    "api/predictors.md": ("predictors", "predictors", lambda module: True),
    "api/views.md": ("views", "views", lambda module: True),
}
"""By page its title, the package whose public names it has, and from which modules of it."""

_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_NOTEBOOK = NotebookPage(ROOT / "docs" / "tour.ipynb")


def on_startup(command: str, dirty: bool) -> None:
    """Lays the package's folders together as they are installed, for what reads its docstrings."""
    tree = ROOT / "build" / "api" / "allennlp_saliency"
    tree.mkdir(parents=True, exist_ok=True)
    for source in (*(ROOT / "allennlp_saliency").glob("*.py"), *_rooms()):
        link = tree / source.name
        if not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(source)


def on_config(config: Any) -> Any:
    """Sets the anchors of headings, and leaves out of the navigation what is not there."""
    config.mdx_configs["toc"]["slugify"] = github_slug
    config.nav = [one for one in config.nav if not _missing(one)]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds what is not a page in `docs/`."""
    from mkdocs.structure.files import File

    made = {to: (ROOT / path).read_text("utf-8") for path, to in {**OUTSIDE, **ASSETS}.items()}
    made[TOUR] = _NOTEBOOK.markdown()
    made |= {page: api_page(page) for page in API}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turns links between files into links between pages."""
    own = page.file.src_uri
    if own in API:
        # Who searches for a method wants to know what it is, before how it is called.
        page.meta["search"] = {"boost": 0.2}
    return as_python_markdown(
        outside_code(markdown, lambda text: _LINK.sub(lambda m: _linked(m, own), text))
    )


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Puts the outputs of the notebook in, and the classes beside the names of methods."""
    if page.file.src_uri == TOUR:
        html = _NOTEBOOK.with_outputs(html)
    return class_titles(html, methods())


def api_page(page: str) -> str:
    """The page of some public names."""
    title, package, chosen = API[page]
    names = [name for name, module in public(package).items() if chosen(module)]
    parts = [f"# API: {title}\n\nThe public names of `allennlp_saliency.{package}`.\n"]
    registered = {own: name for name, own in methods().items()}
    for name in sorted(names, key=str.lower):
        parts.append(f"::: allennlp_saliency.{package}.{name}\n")
        if name in registered:
            method = registered[name]
            anchor = github_slug(f"`{method}` (`{name}`)")
            parts.append(f"Registered as [`{method}`](../methods.md#{anchor}).\n")
    return "\n".join(parts)


def public(package: str) -> dict[str, str]:
    """By public name of a package the module that it comes from, without importing either."""
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text("utf-8"))
    found: dict[str, str] = {}
    listed: set[str] | None = None
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.removeprefix(f"allennlp_saliency.{package}.")
            found |= {one.asname or one.name: module for one in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = set(ast.literal_eval(node.value))
    return {name: module for name, module in found.items() if listed is None or name in listed}


def methods() -> dict[str, str]:
    """By registered name the class of each method, as the page of methods has them."""
    page = (ROOT / "docs" / "methods.md").read_text("utf-8")
    return dict(re.findall(r"^## `([\w-]+)` \(`(\w+)`\)$", page, re.MULTILINE))


def _linked(match: re.Match[str], own: str) -> str:
    before, target, after = match.groups()
    origin = next((path for path, to in OUTSIDE.items() if to == own), f"docs/{own}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    known = {**OUTSIDE, **ASSETS, "docs/tour.ipynb": TOUR}
    if path in known:
        to = known[path]
    elif path.startswith("docs/") and (ROOT / path).exists():
        to = path.removeprefix("docs/")
    else:
        return match[0]
    return f"{before}{posixpath.relpath(to, posixpath.dirname(own) or '.')}{after}"


def _missing(entry: dict[str, Any]) -> bool:
    (target,) = entry.values()
    return target in OPTIONAL and not (ROOT / "docs" / target).exists()


def _rooms() -> list[Path]:
    return [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name in _ROOMS]


_ROOMS = ("compat", "interpret", "predictors", "jobs", "commands", "views")
