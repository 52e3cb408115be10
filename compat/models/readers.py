"""The dataset readers of allennlp-models: SQuAD's, SRL-BERT's, and that of Penn Treebank files."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..registry import Original, after, patch

# SQuAD's reader puts "a " before each word but the first, and takes it off again.
_PREFIX = 2


@patch(
    "allennlp_models.rc.dataset_readers.transformer_squad",
    "TransformerSquadReader._tokenize_context",
    why="it moves the beginning of a context's tokens to their place, and not their end",
)
def token_ends(original: Original, reader: Any, context: str) -> list[Any]:
    """Move both ends of a token."""
    tokens = original(reader, context)
    for token in tokens:
        if token.idx is not None and token.idx_end is not None:
            start = _word_start(context, token.idx)
            token.idx_end += start - (_PREFIX if start > 0 else 0)
    return tokens


def _word_start(context: str, place: int) -> int:
    """Where the word begins that a token is part of; a token may begin at the space before it."""
    place = max(place, 0)
    if place < len(context) and context[place].isspace():
        return place + 1
    while place > 0 and not context[place - 1].isspace():
        place -= 1
    return place


class WordPieces:
    """A tokenizer's word pieces, without its rules for case, accents and punctuation.

    Args:
        tokenizer: a Hugging Face tokenizer whose backend's model is WordPiece.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def tokenize(self, text: str) -> list[str]:
        """The longest pieces from the left of each word between white space."""
        model = self.tokenizer.backend_tokenizer.model
        return [piece.value for word in text.split() for piece in model.tokenize(word)]


class HeldVocabulary:
    """A tokenizer's `get_vocab` that asks the backend only when the vocabulary has grown.

    Each call of the backend copies the whole vocabulary, and the reader makes one a word piece.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.backend = tokenizer.backend_tokenizer
        self.held: dict[str, int] = {}

    def __call__(self) -> dict[str, int]:
        """Every token and its id."""
        if len(self.held) != self.backend.get_vocab_size(with_added_tokens=True):
            self.held = self.backend.get_vocab(with_added_tokens=True)
        return self.held


def _no_word_pieces(module: Any) -> bool:
    return not hasattr(import_module(module.BertTokenizer.__module__), "WordpieceTokenizer")


@patch(
    "allennlp_models.structured_prediction.dataset_readers.srl",
    "SrlReader.__init__",
    why="BertTokenizer of transformers 5 has no wordpiece_tokenizer, and its vocab is slow",
    needed=_no_word_pieces,
)
def srl_word_pieces(original: Original, reader: Any, *args: Any, **kwargs: Any) -> None:
    """Give the reader's own tokenizer both, where it lacks them."""
    original(reader, *args, **kwargs)
    if reader.bert_tokenizer is not None:
        reader.bert_tokenizer.wordpiece_tokenizer = WordPieces(reader.bert_tokenizer)
        reader.bert_tokenizer.get_vocab = HeldVocabulary(reader.bert_tokenizer)


def _restricts_paths() -> bool:
    """Whether nltk reads from folders of its own only; it is not imported to find out."""
    spec = find_spec("nltk")
    folders = None if spec is None else spec.submodule_search_locations
    return any(Path(folder, "pathsec.py").is_file() for folder in folders or ())


@cache
def _reader() -> Any:
    from nltk.corpus.reader.bracket_parse import BracketParseCorpusReader
    from nltk.data import PathPointer, SeekableUnicodeStreamReader

    class GivenPath(PathPointer):
        """A path that the user named, for nltk to read from."""

        def __init__(self, path: str) -> None:
            self.path = path

        def open(self, encoding: str | None = None) -> Any:
            """The file, decoded where there is an encoding; nltk closes it."""
            stream = Path(self.path).open("rb")  # noqa: SIM115
            return stream if encoding is None else SeekableUnicodeStreamReader(stream, encoding)

        def file_size(self) -> int:
            """The length of the file in bytes."""
            return Path(self.path).stat().st_size

        def join(self, fileid: str) -> GivenPath:
            """The path of a file in this folder."""
            return GivenPath(str(Path(self.path, fileid)))

        def __str__(self) -> str:
            return self.path

    class GivenTreesReader(BracketParseCorpusReader):
        """Reads the files that it is given in the folder that it is given."""

        def __init__(self, root: str, fileids: list[str], **kwargs: Any) -> None:
            super().__init__(GivenPath(root), fileids, **kwargs)

        def abspaths(self, fileids: Any = None, *args: Any, **kwargs: Any) -> list[Any]:
            """The files and their encodings."""
            names = self.fileids() if fileids is None else fileids
            return [(self._root.join(name), self.encoding(name)) for name in names]

    return GivenTreesReader


@after(
    "allennlp_models.structured_prediction.dataset_readers.penn_tree_bank",
    why="nltk 3.10 and newer read corpora from the folders of NLTK_DATA only",
)
def tree_files(module: Any) -> bool:
    """Let this reader, and nothing else that uses nltk, open the file that it was given."""
    if not _restricts_paths():
        return False

    module.BracketParseCorpusReader = lambda *args, **kwargs: _reader()(*args, **kwargs)
    return True
