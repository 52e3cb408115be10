"""Files that are written for a test, and what a source reads of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from allennlp_saliency.jobs.sources import Item, Source


def written(path: Path, *lines: Any) -> str:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return str(path)


def everything(source: Source) -> list[Item]:
    return list(source.items(0, source.count()))
