"""The page: a document, a sheet of styles and scripts of this folder, and those of the report."""

from __future__ import annotations

from functools import partial
from importlib.resources import files

from fastapi import FastAPI, Response

from allennlp_saliency.views import html

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def add(app: FastAPI) -> None:
    """Adds the page to an application: `/` and, by its exact name, each file that it needs."""
    contents = {
        "/page/report.css": (html.style().encode(), ".css"),
        "/page/report.js": (html.script().encode(), ".js"),
    }
    for file in files(__package__).iterdir():
        kind = f".{file.name.rpartition('.')[2]}"
        if kind in _TYPES:
            path = "/" if file.name == "index.html" else f"/page/{file.name}"
            contents[path] = (file.read_bytes(), kind)
    for path, (content, kind) in contents.items():
        give = partial(_answer, content, _TYPES[kind])
        app.add_api_route(path, give, methods=["GET"], include_in_schema=False)


def _answer(content: bytes, kind: str) -> Response:
    return Response(content, media_type=f"{kind}; charset=utf-8")
