"""Markdown as GitHub reads it, in the words of Python-Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

_FENCE = re.compile(r"^ *(```|~~~)")
_ITEM = re.compile(r"^( *)([-*+]|\d+\.)( +)(?=\S)")
_CODE = re.compile(r"<code>([a-z][\w-]*)</code>")
_PRE = re.compile(r"(<pre\b.*?</pre>|<h[1-6]\b.*?</h[1-6]>)", re.DOTALL)


def github_slug(text: str, separator: str = "-") -> str:
    """The anchor of a heading, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", text.strip().lower())
    return kept.replace(" ", separator)


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Changes the lines that are not between fences."""
    return "\n".join(
        line if fenced else change(line) for fenced, line in _with_fences(markdown.split("\n"))
    )


def as_python_markdown(markdown: str) -> str:
    """Indents what belongs to an item of a list by four columns a level, and not by the marker's
    width; and has an empty line before a list."""
    found: list[str] = []
    levels: list[tuple[int, int]] = []  # where an item's marker and its text begin
    for fenced, line in _with_fences(markdown.split("\n")):
        if not line.strip():
            found.append(line)
            continue
        indent = len(line) - len(line.lstrip())
        item = None if fenced else _ITEM.match(line)
        while levels and indent < levels[-1][1] and not (item and indent == levels[-1][0]):
            if not item and not fenced and found and found[-1].strip() and indent == 0:
                break  # goes on without an indent
            levels.pop()
        if item and indent >= 4 + (levels[-1][1] if levels else 0):
            item = None  # code
        if item:
            if levels and indent == levels[-1][0]:
                levels.pop()
            elif not levels and found and found[-1].strip():
                found.append("")
            levels.append((indent, item.end()))
            text = line[item.end() :]
            found.append("    " * (len(levels) - 1) + f"{item[2]} {text}")
        elif levels:
            own = max(indent - levels[-1][1], 0)
            found.append("    " * len(levels) + " " * own + line.lstrip())
        else:
            found.append(line)
    return "\n".join(found)


def class_titles(html: str, classes: Mapping[str, str]) -> str:
    """Names of methods in the text, with their classes to see by hovering."""

    def titled(match: re.Match[str]) -> str:
        if match[1] not in classes:
            return match[0]
        return f'<code title="{classes[match[1]]}">{match[1]}</code>'

    parts = _PRE.split(html)
    parts[::2] = [_CODE.sub(titled, part) for part in parts[::2]]
    return "".join(parts)


def _with_fences(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """Lines, and whether each is code between fences; the fences themselves are."""
    fence = ""
    for line in lines:
        match = _FENCE.match(line)
        if match and not fence:
            fence = match[1]
            yield True, line
        elif match and fence == match[1]:
            fence = ""
            yield True, line
        else:
            yield bool(fence), line
