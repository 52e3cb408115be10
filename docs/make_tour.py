"""Writes `docs/tour.ipynb`, executed: a tour of the package for whoever is new to it.

Run from a clone: `make docs`, or `python docs/make_tour.py`. `--plain` leaves the outputs out.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

DOCS = Path(__file__).resolve().parent
PATH = DOCS / "tour.ipynb"

CELLS = '''
--- text
# A tour

Why did the model say that? Every token of an input gets a score, and the scores are shown where
you are. Blue speaks for what is explained, red (underlined with dots) against it; hover over a
token for its number. All of it runs on a laptop in a minute: the models are small, and come with
the repository.

To run it yourself: clone the repository, `make install`, then open this page with the Python of
`.venv` (`.venv/bin/python -m pip install jupyterlab && .venv/bin/jupyter lab docs/tour.ipynb`).

--- code
import logging
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

--- code
from pathlib import Path

import transformers
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    ContextCite,
    DeepLift,
    InputXGradient,
    IntegratedGradients,
    LeaveOneOut,
)

transformers.utils.logging.disable_progress_bar()

clone = next(one for one in (Path.cwd(), *Path.cwd().parents) if (one / "fixtures").is_dir())


def load(name):
    """One of the models of the repository; yours is `Predictor.from_path("model.tar.gz")`."""
    return Predictor.from_path(clone / "fixtures" / name / "model.tar.gz")

--- text
## A classifier

A small BERT that tells whether a sentence of a film review is for or against the film. Where a
predictor reads one text, the text alone will do; what comes back is a list of explanations that
shows itself.

--- code
sentiment = load("sentiment")
explanations = IntegratedGradients(
    sentiment, relative_tolerance=0.01, target="logit"
).interpret_json("the music was not good, and we discussed the second half.")
explanations

--- text
The numbers behind it, token by token (this needs pandas):

--- code
explanations.to_pandas().round(3)

--- text
Another method, which asks the model what it says without each word. `show(words=True)` adds up
what belongs to the pieces of a word:

--- code
LeaveOneOut(sentiment, baseline="mask", units="word", target="logit").interpret_json(
    "the music was not good, and we discussed the second half."
).show(words=True)

--- text
## A pair of texts

Does the premise entail the hypothesis? Both texts have scores, on one scale.

--- code
entailment = load("entailment")
DeepLift(entailment, target="logit").interpret_json(
    {
        "premise": "the cheerful animal nibbles outside the lawn at noon.",
        "hypothesis": "the animal feasts outside the lawn.",
    }
)

--- text
A plain text would not say which of the two it is, so it is refused, with the line to type:

--- code
try:
    DeepLift(entailment).interpret_json("the animal feasts.")
except Exception as error:
    print(error)

--- text
## Named entities

One explanation for each entity that the tagger finds:

--- code
tagger = load("ner")
IntegratedGradients(tagger, target="logit").interpret_json(
    "as it happens they described Kinetix Bank before nobody described Port Glenmoor."
)

--- text
## Questions and answers

The explained number is the one that selects the answer: where it begins and where it ends.

--- code
answers = load("question-answering")
IntegratedGradients(answers).interpret_json(
    {
        "question": "who was it ?",
        "passage": "the guide heard of the island Quincy before Lowell described the captain "
        "Garrick.",
    }
)

--- text
## A translation

A text that the model writes is explained token by token: a row for each token of the translation,
a column for each of the source, and below it what came of the words that were written before.

--- code
translator = load("translate")
InputXGradient(translator, target="logit").interpret_json("this teacher draws near the old house")

--- text
## A prompt with its context

A language model goes on with a prompt. Which words of the prompt made it write what it wrote?
ContextCite leaves random parts of it out, and fits how much each of them matters, to the whole
answer at once (`"explain": "span"`).

--- code
writer = load("copy-lm")
prompt = "beacon violet cedar engine bronze falcon cherry ivory violet"
ContextCite(writer, units="word", seed=0).interpret_json(
    {"prompt": prompt, "max_new_tokens": 3, "explain": "span"}
)

--- text
The same token by token:

--- code
InputXGradient(writer, target="logit").interpret_json({"prompt": prompt, "max_new_tokens": 3})

--- text
## Many inputs

A list, a generator, a data set of `datasets` or a table, whose columns are called as the
predictor's keys; other columns are left alone.

--- code
import pandas

reviews = pandas.DataFrame(
    {"sentence": ["the costume was weak.", "i never adored the dialogue."], "id": [17, 18]}
)
found = IntegratedGradients(sentiment, target="logit").interpret_batch_json(reviews)
found

--- text
The strongest token of each:

--- code
table = found.to_pandas()
table.loc[table.groupby("input")["score"].idxmax(), ["input", "label", "token", "score"]].round(2)

--- text
## To keep and to send

A page with everything in it, pictures and LaTeX. `allennlp render` makes the same of a file of
JSON lines.

--- code
import tempfile

from allennlp_saliency.views import save_figure, to_latex
from allennlp_saliency.views.html import report

folder = Path(tempfile.mkdtemp())
report(found, folder / "report.html")
save_figure(explanations, folder / "heat-map.pdf")
print(sorted(one.name for one in folder.iterdir()))
print(to_latex(explanations)[-160:])

--- text
More, task by task, in [how-to.md](how-to.md); every method in [methods.md](methods.md).
'''


def notebook() -> NotebookNode:
    """The tour without outputs."""
    cells = list(_cells())
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
    )


def _cells() -> Iterator[NotebookNode]:
    for number, part in enumerate(CELLS.split("\n--- ")[1:]):
        kind, _, text = part.strip("\n").partition("\n")
        make = {"text": new_markdown_cell, "code": new_code_cell}[kind]
        # The same cell has the same name whenever this runs.
        yield make(text, id=hashlib.sha256(f"{number} {text}".encode()).hexdigest()[:8])


def executed() -> NotebookNode:
    """The tour with outputs."""
    tour = notebook()
    run = ExecutePreprocessor(timeout=300, kernel_name="python3", record_timing=False)
    run.preprocess(tour, {"metadata": {"path": str(DOCS)}})
    tour.metadata = notebook().metadata  # what the kernel says of itself differs
    return tour


def main() -> None:
    """Writes the notebook."""
    tour = notebook() if "--plain" in sys.argv[1:] else executed()
    nbformat.validate(tour)
    nbformat.write(tour, PATH)


if __name__ == "__main__":
    main()
