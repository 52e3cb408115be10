"""The reader of Penn Treebank files: the user's own files, wherever they lie."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..registry import after


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

    def bracket_parse_corpus_reader(*args: Any, **kwargs: Any) -> Any:
        return _reader()(*args, **kwargs)

    module.BracketParseCorpusReader = bracket_parse_corpus_reader
    return True
