"""Writes `docs/gallery.md`, and makes its pictures by running the lines on it.

Run from a clone: `make docs`, or `python docs/make_gallery.py`. Pictures of pages need Chromium
(`make browser`); where there is none, they stay as they are.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "docs" / "lib")]
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

from gallery_page import FIRST, PIECES, Piece, page  # noqa: E402

import allennlp_saliency.plugin  # noqa: E402, F401

PICTURES = ROOT / "docs" / "pictures" / "gallery"
MOST_BYTES = 300_000
WIDTH = 900


def main() -> None:
    """Writes the page and its pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "fixtures").symlink_to(ROOT / "fixtures")
        os.chdir(folder)
        run()
        shown = [one for one in PIECES if one.written.endswith(".html")]
        for one in PIECES:
            if one not in shown:
                shutil.copy(Path("out") / one.written, PICTURES / one.picture)
        photograph(shown, Path(folder) / "out")
        os.chdir(ROOT)
    large = [one for one in PICTURES.iterdir() if one.stat().st_size > MOST_BYTES]
    if large:
        sys.exit(f"larger than {MOST_BYTES} bytes: {', '.join(map(str, large))}")
    (ROOT / "docs" / "gallery.md").write_text(page(), encoding="utf-8")


def run() -> None:
    """Runs the lines of the page, from top to bottom, in this folder."""
    names: dict[str, Any] = {"__name__": "gallery"}
    exec(compile(FIRST, "the first lines", "exec"), names)
    for one in PIECES:
        exec(compile(one.code, one.title, "exec"), names)


def photograph(pieces: list[Piece], folder: Path) -> None:
    """Takes pictures of pages."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    path = next(filter(None, found), None)
    if path is None:
        print("no Chromium: pictures of pages stay as they are (`make browser`)")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for one in pieces:
            shown = browser.new_page(viewport={"width": WIDTH, "height": 1200})
            shown.goto((folder / one.written).as_uri())
            shown.wait_for_selector(one.taken)
            for click in one.clicks:
                shown.locator(click).first.click()
            shown.mouse.move(0, 0)
            shown.wait_for_timeout(300)
            shown.locator(one.taken).first.screenshot(path=PICTURES / one.picture)
            shown.close()
        browser.close()


if __name__ == "__main__":
    main()
