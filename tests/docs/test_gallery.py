"""The gallery is what its script writes; that its lines run is tested with those of other pages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS / "lib"))

import gallery_page  # noqa: E402

PICTURES = DOCS / "pictures" / "gallery"
MOST_BYTES = 300_000


def test_the_page_is_that_of_the_script() -> None:
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert page == gallery_page.page(), "run `python docs/make_gallery.py`"


def test_every_piece_has_a_picture_of_its_own_that_is_not_large() -> None:
    made = {one.picture for one in gallery_page.PIECES}
    assert len(made) == len(gallery_page.PIECES) >= 12
    assert {one.name for one in PICTURES.iterdir()} == made
    for one in PICTURES.iterdir():
        assert 1_000 < one.stat().st_size <= MOST_BYTES, one


def test_every_piece_writes_what_is_shown() -> None:
    for one in gallery_page.PIECES:
        assert f'"out/{one.written}"' in one.code


def test_pictures_in_vectors_are_of_the_texts_in_the_lines() -> None:
    """A word of each input stands in its picture, which is not one of something else."""
    words = {
        "pair": "nibbles",
        "choice": "omelette",
        "answer": "Garrick",
        "roles": "tailor",
        "arcs": "beard",
        "gaps": "actress",
    }
    for name, word in words.items():
        (one,) = (one for one in gallery_page.PIECES if one.name == name)
        assert word in one.code
        picture = (PICTURES / one.picture).read_text(encoding="utf-8")
        assert re.search(rf">\s*{word}\W*<|<!-- {word}", picture), name
