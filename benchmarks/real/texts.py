"""What is explained: sentences that people wrote and rated, and prompts with their next word."""

from __future__ import annotations

from collections.abc import Sequence

from .sentiment import Rated

COUNT = 12

PROMPTS: tuple[tuple[str, str], ...] = (
    ("The Colosseum stands in the city of", " Rome"),
    ("The capital of France is", " Paris"),
    ("My doctor said that I should drink more", " water"),
    ("Water freezes at zero degrees", " Celsius"),
    ("The opposite of hot is", " cold"),
    ("She opened the door with her", " key"),
    ("In autumn the leaves fall from the", " trees"),
    ("The keys to the cabinet on the table", " are"),
    ("When Mary and John went to the store, John gave a drink to", " Mary"),
    ("The first president of the United States was George", " Washington"),
    ("Bees make", " honey"),
    ("The film was so boring that I fell", " asleep"),
)
"""A prompt, and the token that follows; each continuation is one token of SmolLM2's."""

_SHORTEST, _LONGEST = 6, 16


def sentences(held_out: Sequence[Rated], count: int = COUNT) -> list[dict[str, str]]:
    """Inputs for the classifier: the first held-out sentences of reviews that have six to
    sixteen words.

    Args:
        held_out: Texts that the classifier was not trained on.
        count: How many.
    """
    fitting = [
        one.text
        for one in held_out
        if one.review and _SHORTEST <= len(one.text.split()) <= _LONGEST
    ]
    return [{"sentence": text} for text in fitting[:count]]


def prompts(count: int = COUNT) -> list[dict[str, str]]:
    """Inputs for the language model.

    Args:
        count: How many.
    """
    return [{"prompt": before, "continuation": after} for before, after in PROMPTS[:count]]
