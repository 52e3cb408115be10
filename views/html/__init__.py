"""Explanations as one page for a browser. Jinja2 is imported when a page is made."""

from .cases import Case, cases_of
from .data import page_data
from .page import json_for_html, render_page, report, script, style

__all__ = [
    "Case",
    "cases_of",
    "json_for_html",
    "page_data",
    "render_page",
    "report",
    "script",
    "style",
]
