"""Penn Treebank files outside nltk's own folders."""

from __future__ import annotations

from pathlib import Path

import nltk
import pytest
from nltk.corpus.reader.bracket_parse import BracketParseCorpusReader

TREES = (
    "(S (NP-SBJ (DT The) (NN film)) (VP (VBZ works)))\n(TOP (S (NP (NNP Él)) (VP (VBZ runs))))\n"
)


@pytest.mark.parametrize("relative", [False, True])
def test_the_users_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    from allennlp_models.structured_prediction import PennTreeBankConstituencySpanDatasetReader

    path = tmp_path / "trees.txt"
    path.write_text(TREES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    before = list(nltk.data.path)
    reader = PennTreeBankConstituencySpanDatasetReader()
    first, second = reader.read("trees.txt" if relative else str(path))
    assert [token.text for token in first["tokens"]] == ["The", "film", "works"]
    assert first["pos_tags"].labels == ["DT", "NN", "VBZ"]
    assert first["metadata"]["gold_tree"] == nltk.Tree.fromstring(
        "(S (NP (DT The) (NN film)) (VP (VBZ works)))"
    )
    assert [token.text for token in second["tokens"]] == ["Él", "runs"]
    # nltk keeps its rule for everybody else.
    assert nltk.data.path == before
    if hasattr(nltk, "pathsec"):
        with pytest.raises(PermissionError, match="Unauthorized path"):
            BracketParseCorpusReader(str(tmp_path), ["trees.txt"])
