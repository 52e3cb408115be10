"""Takes the pictures of the HTML report in `docs/pictures/`, with the fixtures' models.

Run from a clone: `make docs`, or `python docs/make_views.py`. It needs Chromium (`make browser`);
where there is none, the pictures stay as they are.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from allennlp_saliency.views.html import report

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
METHODS: tuple[dict[str, Any], ...] = (
    {"type": "integrated-gradients", "steps": 32},
    {"type": "leave-one-out"},
    {"type": "lime", "seed": 0},
)
MOST_BYTES = 300_000


@dataclass(frozen=True)
class Picture:
    """A part of a page.

    Attributes:
        name: Of the file.
        fixture: Whose first inputs are explained.
        methods: How.
        width: Of the window, in pixels.
        scheme: "light" or "dark".
        height: Of the picture, in pixels.
        use: What is done with the page first.
        inputs: How many inputs there are.
    """

    name: str
    fixture: str
    methods: tuple[dict[str, Any], ...]
    width: int = 1100
    scheme: str = "light"
    height: int = 700
    use: Callable[[Any], None] = lambda page: None
    inputs: int = 1


def _pick_span(page: Any) -> None:
    units = page.locator(".pickable .u:not(.special)")
    units.nth(2).click()
    units.nth(3).click(modifiers=["Shift"])
    page.mouse.move(0, 0)


def _hover(page: Any) -> None:
    page.locator(".u.strong").first.hover()


DRAWN = (
    Picture("report-methods", "topics", METHODS, width=1240, height=640, use=_hover),
    Picture("report-entities", "ner", METHODS[:1], scheme="dark", height=470),
    Picture("report-translation", "translate", METHODS[:1], height=860, use=_pick_span),
    Picture("report-telephone", "topics", METHODS[:1], width=390, height=780),
    Picture("report-many", "topics", METHODS[:1], height=640, inputs=40),
)


def main() -> None:
    """Takes all pictures."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        print("no Chromium: the pictures of the report stay as they are (`make browser`)")
        return
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for picture in DRAWN:
            page = browser.new_page(
                viewport={"width": picture.width, "height": picture.height},
                color_scheme=picture.scheme,
                device_scale_factor=1.5,
            )
            file = Path(folder) / f"{picture.name}.html"
            report(_lines(picture), file, title="Explanations")
            page.goto(file.as_uri())
            page.wait_for_selector(".u")
            picture.use(page)
            page.wait_for_timeout(300)
            taken = PICTURES / f"{picture.name}.png"
            page.screenshot(path=taken)
            page.close()
            if taken.stat().st_size > MOST_BYTES:
                sys.exit(f"{taken} is larger than {MOST_BYTES} bytes")
        browser.close()


def _lines(picture: Picture) -> list[Any]:
    folder = ROOT / "fixtures" / picture.fixture
    texts = (folder / "inputs.jsonl").read_text(encoding="utf-8").splitlines()[: picture.inputs]
    given = [json.loads(text) for text in texts]
    found = []
    for method in picture.methods:
        saliency = SaliencyPredictor.from_path(
            folder / "model.tar.gz", import_plugins=False, interpreter=method
        )
        found += [
            json.loads(saliency.dump_line(result)) for result in saliency.predict_batch_json(given)
        ]
    return found


if __name__ == "__main__":
    main()
