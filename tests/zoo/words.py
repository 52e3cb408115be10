"""What the zoo's models read and say."""

from __future__ import annotations

_TEXT = """
a the of and not very good bad great awful film plot actor scene was is it i we they ever never had
have but so too little much in on john mary paris london lives works at smith
"""
WORDS = tuple(_TEXT.split())
LABELS = ("negative", "positive", "neutral")
TAGS = ("O", "B-PER", "I-PER", "L-PER", "U-PER", "B-LOC", "I-LOC", "L-LOC", "U-LOC")

# Words that no tokenizer of the zoo has whole: "badly", "filmgoers", "unbelievable".
SENTENCES = (
    "a great film",
    "awful",
    "the plot was not bad , but the actor was badly unbelievable !",
    "john smith lives in london and mary in paris , but so too filmgoers have never had a very "
    "good scene : great , great and ever so little awful plot .",
)
# Few words: every one of them may be an entity, and each entity is explained by itself.
TAGGED = ("john", "filmgoers lives in paris", "mary smith", "the badly unbelievable london scene !")
