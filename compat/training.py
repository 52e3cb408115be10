"""What `allennlp train` needs."""

from __future__ import annotations

from collections.abc import Iterator

from .registry import around


@around(
    "allennlp.training.optimizers",
    why="transformers has no AdamW any more; torch's is another algorithm (no correct_bias)",
)
def hugging_face_adamw() -> Iterator[bool]:
    """The old algorithm, there only while the module is imported."""
    import transformers

    if hasattr(transformers, "AdamW"):
        yield False
        return
    from .adamw import AdamW

    transformers.AdamW = AdamW
    try:
        yield True
    finally:
        del transformers.AdamW
