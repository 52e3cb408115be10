"""A spaCy pipeline that knows the parts of speech of a few words; none can be downloaded."""

from __future__ import annotations

from pathlib import Path

import spacy

_TAGS = {
    ("VERB", "VBD"): "saw was had knew gave lives lived said took wrote",
    ("DET", "DT"): "a the every this",
    ("ADP", "IN"): "of in on at with to",
    ("PRON", "PRP"): "it he she they i we him her them",
    ("ADJ", "JJ"): "good bad great awful little new",
    ("PROPN", "NNP"): "john mary paris london smith",
    ("CCONJ", "CC"): "and but or",
    ("PUNCT", "."): ". , !",
}
WORDS = tuple(word for words in _TAGS.values() for word in words.split()) + tuple(
    "film plot actor scene book dog teacher city".split()
)
"""What the pipeline knows by name; every other word is a noun."""
POS = [*sorted({pos for pos, _ in _TAGS}), "NOUN"]
TAGS = [*sorted({tag for _, tag in _TAGS}), "NN"]


def write_language(folder: Path) -> str:
    """Writes the pipeline and returns its path, which spaCy and AllenNLP take for its name."""
    language = spacy.blank("en")
    ruler = language.add_pipe("attribute_ruler")
    ruler.add([[{"IS_ASCII": True}], [{"IS_ASCII": False}]], {"TAG": "NN", "POS": "NOUN"})
    for (pos, tag), words in _TAGS.items():
        ruler.add([[{"LOWER": word}] for word in words.split()], {"TAG": tag, "POS": pos})
    language.add_pipe("sentencizer")
    language.to_disk(folder)
    return str(folder)
