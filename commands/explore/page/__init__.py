"""The page: a document, a sheet of styles and scripts, read from this folder and from nowhere
else."""

from __future__ import annotations

from functools import partial
from importlib.resources import files

from fastapi import FastAPI, Response

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def add(app: FastAPI) -> None:
    """Adds the page to an application: `/` and, by its exact name, each file that it needs."""
    for file in files(__package__).iterdir():
        kind = _TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            path = "/" if file.name == "index.html" else f"/page/{file.name}"
            give = partial(_answer, file.read_bytes(), kind)
            app.add_api_route(path, give, methods=["GET"], include_in_schema=False)


def _answer(content: bytes, kind: str) -> Response:
    return Response(content, media_type=f"{kind}; charset=utf-8")
