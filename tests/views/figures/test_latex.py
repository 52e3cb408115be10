"""LaTeX: escaped, and compiled where there is a LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from allennlp_saliency.views.figure import metrics_to_latex, save_latex, to_latex
from allennlp_saliency.views.figures.latex import HEAD, escaped
from tests.views.explanations import GOOD, attribution, explanation, field, written_text
from tests.views.figures.test_charts import rows

SPECIAL = [*"\\{}$&#%_^~<>|\"'`-", "--", "?`", "<<", "\x1b", "\u00e9", "\n\n", "", "\\end"]
HARD = explanation(
    attribution(SPECIAL, [1.0] * len(SPECIAL), "a_b"),
    attribution(["x"], [-1.0], "c%d"),
    target={"type": "logit", "label": "50 % of $x_1$"},
    interpreter={"type": "my_method"},
)


def test_sign_and_size_are_colours() -> None:
    text = to_latex([GOOD])
    assert text.startswith(HEAD)
    assert r"\colorbox[RGB]{84,137,226}{\strut great}" in text
    assert r"\colorbox[RGB]{237,182,168}{\strut film}" in text
    assert "\na \\colorbox" in text, "what is faint has no box"
    assert r"\textbf{integrated{-}gradients: positive 98.0 \%}" in text
    assert r"\textsubscript{$+0.61$}" in to_latex([GOOD], numbers=True)


def test_what_it_needs_stands_in_a_comment() -> None:
    needed = re.findall(r"^%\s+\\usepackage.*\{(\w+)\}$", to_latex([GOOD]), re.MULTILINE)
    assert needed == ["fontenc", "xcolor", "booktabs"]
    assert all(line.startswith("%") for line in HEAD.splitlines())


def test_everything_is_escaped() -> None:
    assert escaped("a\\b{c}$d&e#f%g_h^i~j") == (
        r"a\textbackslash{}b\{c\}\$d\&e\#f\%g\_h\textasciicircum{}i\textasciitilde{}j"
    )
    text = to_latex([HARD]).removeprefix(HEAD)
    plain = re.sub(r"\\[a-zA-Z]+|\\[{}$&#%_\\]", "", text)
    assert not set(plain) & set("$&#_^~")
    assert not re.search(r"%(?!\n)", plain), "a comment would swallow the rest of its line"
    assert "\x1b" not in text
    assert "\n\n" not in text.strip(), "an empty line ends a paragraph"


def test_the_text_is_as_it_was_written() -> None:
    one = explanation(field("An unkind film", ["an", "un", "##kind", "film"], [1.0] * 4))
    shown = re.sub(r"\\allowbreak\{\}|\\colorbox\[RGB\]\{[\d,]+\}\{\\strut (\w+)\}", r"\1",
                   to_latex([one]))  # fmt: skip
    assert "An unkind film" in shown
    assert r"\strut unkind" in to_latex([one], words=True)


def test_a_written_text_is_a_table_per_field() -> None:
    text = to_latex(written_text())
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"\textit{source} & un & bon & film \\" in text
    assert r"\strut $+2.00$}" in text


def test_a_file_of_several_inputs(tmp_path: Path) -> None:
    assert save_latex([[GOOD], [GOOD, HARD]], tmp_path / "x.tex") == 2
    text = (tmp_path / "x.tex").read_text("utf-8")
    assert text.count("usepackage{xcolor}") == 1
    assert text.count(r"\strut great}") == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
def test_latex_compiles_it(tmp_path: Path) -> None:
    packages = re.findall(r"^%\s+(\\usepackage.*)$", HEAD, re.MULTILINE)
    inputs = [[GOOD], [HARD], [explanation()], written_text()]
    save_latex(inputs, tmp_path / "shown.tex", numbers=True)
    (tmp_path / "table.tex").write_text(metrics_to_latex(rows()), encoding="utf-8")
    document = "\n".join(
        [
            r"\documentclass{article}",
            *packages,
            r"\begin{document}\input{shown}\input{table}\end{document}",
        ]
    )
    (tmp_path / "x.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-3000:].decode("utf-8", "replace")
    assert (tmp_path / "x.pdf").exists()
