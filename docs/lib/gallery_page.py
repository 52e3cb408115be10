"""The pieces of `docs/gallery.md`: for each kind of task lines of Python and their picture."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """# Gallery

For each kind of task a picture, and the lines that made it. `docs/make_gallery.py` runs the lines
of this page from top to bottom and puts what they write below them; change nothing here by hand but
in `docs/lib/gallery_page.py`. The models are the small ones of `fixtures/`; yours is loaded by
`Predictor.from_path("model.tar.gz")`, or by `TransformersPredictor.from_pretrained(…)` from Hugging
Face. Blue speaks for what is explained, red against it.
"""

FIRST = """from pathlib import Path

from allennlp.predictors import Predictor

Path("out").mkdir(exist_ok=True)


def load(name):
    return Predictor.from_path(f"fixtures/{name}/model.tar.gz")
"""

TAIL = """## Other tasks

Constituents, open information extraction, dialogs, summaries: the same calls, and a heat map for
each span, predicate, question or token. No small trained models of these come with the repository,
so there are no pictures of them here: [allennlp-models.md](allennlp-models.md) has what is
explained of each, and
[how-to.md](how-to.md#-explain-a-model-of-allennlp-models) the lines.

In a notebook an explanation shows itself ([the tour](tour.ipynb)). In the browser,
`allennlp explore` lets one try all of it without a line of code:

![The page: a text, its prediction, its heat map, and an edited word](pictures/explore.png)

In the terminal, `allennlp render FILE --terminal`:

![A matrix in the terminal](pictures/terminal.svg)
"""


@dataclass(frozen=True)
class Piece:
    """A section of the page.

    Attributes:
        name: Of the picture's file, without the ending.
        title: The heading.
        text: What it shows.
        code: The lines, which write `out/NAME.svg` or, to be seen in a browser, `out/NAME.html`.
        taken: What is shown of a page, as a selector, after clicks on others.
        clicks: Selectors of what is clicked first.
    """

    name: str
    title: str
    text: str
    code: str
    taken: str = ".card"
    clicks: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """The file that the lines write."""
        return f"{self.name}.{'html' if f'{self.name}.html' in self.code else 'svg'}"

    @property
    def picture(self) -> str:
        """The file in `docs/pictures/gallery`."""
        return self.written.replace(".html", ".png")


PIECES = (
    Piece(
        "classifier",
        "A classifier",
        "Why is this review negative? By integrated gradients, and by leaving each word out.",
        """from allennlp_saliency.interpret import IntegratedGradients, LeaveOneOut
from allennlp_saliency.views import save_figure

sentiment = load("sentiment")
text = "the music was not good, and we discussed the second half."
integrated = IntegratedGradients(sentiment, target="logit").interpret_json(text)
left_out = LeaveOneOut(sentiment, units="word", target="logit").interpret_json(text)
save_figure([*integrated, *left_out], "out/classifier.svg", width=7.5, one_scale=False)
""",
    ),
    Piece(
        "labels",
        "Several labels of one text",
        "An explanation for each label that the model gives.",
        """from allennlp_saliency.interpret import DeepLift

several = load("multi-label")
text = "in the evening they talked of our cattle and the humidity next to the thunderstorm."
labels = DeepLift(several, target="logit").interpret_json(text)
save_figure(labels, "out/labels.svg", width=9, words=True)
""",
    ),
    Piece(
        "pair",
        "A pair of texts",
        "Does the first entail the second? Both have scores, in the same units.",
        """pair = {
    "premise": "the cheerful animal nibbles outside the lawn at noon.",
    "hypothesis": "the animal feasts outside the lawn.",
}
entailment = DeepLift(load("entailment"), target="logit")
save_figure(entailment.interpret_json(pair), "out/pair.svg", width=7)
""",
    ),
    Piece(
        "entities",
        "Named entities",
        "An explanation for each entity that the tagger finds.",
        """tagger = IntegratedGradients(load("ner"), target="logit")
text = "as it happens they described Kinetix Bank before nobody described Port Glenmoor."
save_figure(tagger.interpret_json(text), "out/entities.svg", width=8.5, words=True)
""",
    ),
    Piece(
        "roles",
        "Semantic roles",
        "An explanation for each argument of each verb, by a model of allennlp-models, as the next "
        "three. AllenNLP finds verbs by spaCy's `en_core_web_sm`; for these two a pipeline of "
        "four lines is enough.",
        """import spacy

language = spacy.blank("en")
verbs = [[{"LOWER": {"IN": ["praised", "hired"]}}]]
language.add_pipe("attribute_ruler").add(verbs, {"POS": "VERB"})
language.add_pipe("sentencizer")
language.to_disk("out/language")

roles = Predictor.from_path("fixtures/roles/model.tar.gz", language="out/language")
arguments = IntegratedGradients(roles, target={"type": "arguments"})
text = "the old baker was praised by a painter while the sailor had hired the tailor."
save_figure(arguments.interpret_json(text), "out/roles.svg", width=9, words=True)
""",
    ),
    Piece(
        "role",
        "Why this role, and not another",
        "The argument's own words show that it is one. Its role depends on the auxiliary: "
        "`was … by` reverses the roles, `had` does not. The question is why ARG1, and not ARG0.",
        """contrast = {"type": "contrast", "against": "I-ARG0"}
target = {"type": "arguments", "role": "ARG1", "of": contrast}
patients = LeaveOneOut(roles, units="word", target=target).interpret_json(text)
save_figure(patients, "out/role.svg", width=9)
""",
    ),
    Piece(
        "coreference",
        "Coreference",
        "An explanation for each link from a mention to its antecedent; pick one. In the HTML "
        "report, by two methods:",
        """from allennlp_saliency.views.html import report

links = Predictor.from_path("fixtures/coreference/model.tar.gz", language="out/language")
story = {"document": "Anna met Leo near the bridge. She thanked him and he smiled."}
by = [IntegratedGradients(links), LeaveOneOut(links)]
report([[one for method in by for one in method.interpret_json(story)]], "out/coreference.html")
""",
        clicks=(".output >> nth=1",),
    ),
    Piece(
        "arcs",
        "A dependency tree",
        "An explanation for each arc; here the arc of the noun after `with`: a telescope attaches "
        "to `saw`, a beard to `doctor`.",
        """path = "fixtures/dependencies/model.tar.gz"
parser = IntegratedGradients(Predictor.from_path(path, language="out/language"))
arcs = [
    one
    for thing in ("telescope", "beard")
    for one in parser.interpret_json(f"the sailor saw the old doctor with a {thing}.")
    if one.target["label"] in ("obl", "nmod")
]
save_figure(arcs, "out/arcs.svg", width=6.5)
""",
    ),
    Piece(
        "gaps",
        "Masked words",
        "An explanation for each gap. Shown is the first: `were` comes from the plural `keys` and "
        "from `yesterday`, not from `lamp`.",
        """masked = load("masked-words")
text = "yesterday the keys near the lamp [MASK] rusty and the actress behind the king hurt [MASK]."
gaps = IntegratedGradients(masked, target="logit").interpret_json(text)
save_figure(gaps, "out/gaps.svg", width=10.2)
""",
    ),
    Piece(
        "answer",
        "An answer in a passage",
        "What is explained is where the answer begins and where it ends.",
        """question = {
    "question": "who was it ?",
    "passage": "the guide heard of the island Quincy before Lowell described the captain Garrick.",
}
answer = IntegratedGradients(load("question-answering")).interpret_json(question)
save_figure(answer, "out/answer.svg", width=8.5)
""",
    ),
    Piece(
        "choice",
        "One of several choices",
        "Every choice has scores, those that were not taken, too.",
        """given = {
    "prompt": "my brother was rather starving.",
    "choices": [
        "the old man looked for the tent and smiled.",
        "the child borrowed a friend's scarf before noon.",
        "the child asked for some omelette.",
    ],
}
choices = IntegratedGradients(load("choices"), target="logit").interpret_json(given)
save_figure(choices, "out/choice.svg", width=7)
""",
    ),
    Piece(
        "translation",
        "A translation",
        "A row for each token of the translation, a column for each of the source.",
        """from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.views import save_matrix

translator = InputXGradient(load("translate"), target="logit")
written = translator.interpret_json({"source": "this teacher draws near the old house"})
save_matrix(written, "out/translation.svg", fields=["source"])
""",
    ),
    Piece(
        "prompt",
        "What a language model writes",
        "Which words of the prompt made it go on as it did, for the whole answer at once: random "
        "parts of the prompt are left out, and a line is fitted to what that changes.",
        """from allennlp_saliency.interpret import ContextCite

writer = load("copy-lm")
prompt = "beacon violet cedar engine bronze falcon cherry ivory violet"
cited = ContextCite(writer, units="word", seed=0).interpret_json(
    {"prompt": prompt, "max_new_tokens": 3, "explain": "span"}
)
save_figure(cited, "out/prompt.svg", width=8)
""",
    ),
    Piece(
        "context",
        "What of an answer depends on a context",
        "A retrieved passage, an earlier turn: the tokens of the answer that would be others "
        "without it, and where in it they come from.",
        """from allennlp_saliency.interpret import AttributeContext

listed = "beacon violet cedar engine bronze falcon cherry ivory"
given = {"prompt": f"{listed} violet", "context": listed, "max_new_tokens": 3}
depends = AttributeContext(writer, method="input-x-gradient").interpret_json(given)
save_figure(depends, "out/context.svg", width=8)
""",
    ),
    Piece(
        "interactions",
        "What two words do together",
        '"not good" is neither "not" nor "good". Pairs of words as arcs, in the HTML report:',
        """from allennlp_saliency.interpret import PairInteractions

pairs = PairInteractions(sentiment, units="word", baseline="mask", target="logit", best=6)
report([pairs.interpret_json({"sentence": "the cast was not good."})], "out/interactions.html")
""",
    ),
    Piece(
        "attention",
        "Attention, by layer and head",
        "What each token attends to, with every layer and head to choose, in the HTML report:",
        """from allennlp_saliency.interpret import AttentionRollout

looked = AttentionRollout(sentiment, matrices=True)
report([looked.interpret_json({"sentence": "the cast was not good."})], "out/attention.html")
""",
        clicks=("summary:text-is('attention by layer and head')",),
    ),
    Piece(
        "methods",
        "Several methods of one text",
        "Side by side, with their agreement, in the HTML report:",
        """text = {"sentence": "the paper wrote about the verdict and the goal."}
topics = load("topics")
by = [IntegratedGradients(topics), LeaveOneOut(topics), DeepLift(topics)]
report([[one for method in by for one in method.interpret_json(text)]], "out/methods.html")
""",
    ),
    Piece(
        "metrics",
        "Which method to believe",
        "How much the prediction loses without the words that a method puts first "
        "(comprehensiveness), and how much with them alone (sufficiency), with 95 % intervals; "
        "`random` is what has to be beaten.",
        """import json

from allennlp_saliency.interpret.faithfulness import compare
from allennlp_saliency.views import save_metrics

lines = Path("fixtures/sentiment/inputs.jsonl").read_text("utf-8").splitlines()[:12]
names = ["integrated-gradients", "input-x-gradient", "leave-one-out"]
found = compare(sentiment, [json.loads(line) for line in lines], names)
save_metrics(found.rows(), "out/metrics.svg")
""",
    ),
)


def page() -> str:
    """The page `docs/gallery.md`."""
    parts = [HEAD, f"```python\n{FIRST}```\n"]
    for one in PIECES:
        parts.append(f"## {one.title}\n\n{one.text}\n\n```python\n{one.code}```\n")
        parts.append(f"![{one.title}](pictures/gallery/{one.picture})\n")
    return "\n".join([*parts, TAIL])
