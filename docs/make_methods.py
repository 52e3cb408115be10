"""Writes what `docs/methods.md` shows of the methods: pictures and tables, as measured.

Run from a clone: `make docs`, or `python docs/make_methods.py names pictures completeness
rationales rules`. `names` writes the headings and lists of methods, there and in the README.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "lib")]
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch  # noqa: E402
from allennlp.common import Params  # noqa: E402
from allennlp.predictors import Predictor  # noqa: E402

import allennlp_saliency.plugin  # noqa: E402, F401
from allennlp_saliency.interpret import (  # noqa: E402
    Explanation,
    InterpretationError,
    NotApplicableError,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.rules import DEEPLIFT_RULES, GIM_RULES, LRP_RULES  # noqa: E402
from allennlp_saliency.views.figure import save_figure  # noqa: E402

PAGE = ROOT / "docs" / "methods.md"
PICTURES = ROOT / "docs" / "pictures"
BASELINES = ("zero", "mask", "pad", "unk", "mean")
ARCHITECTURES = ("bert", "roberta", "distilbert", "gpt2", "t5", "llama")


def own_methods() -> list[str]:
    """The registered names of this project's interpreters."""
    names = SaliencyInterpreter.list_available()
    return sorted(
        n for n in names if issubclass(SaliencyInterpreter.by_name(n), SaliencyInterpreter)
    )


def methods_of_texts() -> list[str]:
    """Those that any text has an explanation by, and not only one that names a context."""
    return [name for name in own_methods() if name != "attribute-context"]


def interpreter(predictor: Predictor, name: str, **params: Any) -> Any:
    """A method by name."""
    return SaliencyInterpreter.from_params(Params({"type": name, **params}), predictor=predictor)


def takes_baseline(name: str) -> bool:
    """Whether a method compares with a baseline."""
    from allennlp_saliency.interpret.methods.path.baseline_method import BaselineMethod
    from allennlp_saliency.interpret.methods.perturbation.perturbation_method import (
        PerturbationMethod,
    )

    return issubclass(SaliencyInterpreter.by_name(name), (BaselineMethod, PerturbationMethod))


def fixture(name: str) -> tuple[Predictor, list[dict[str, Any]]]:
    """A fixture's predictor and its held-out inputs."""
    folder = ROOT / "fixtures" / name
    lines = (folder / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
    return Predictor.from_path(folder / "model.tar.gz"), [json.loads(line) for line in lines]


def pictures() -> None:
    """One heat map per method, of one sentence of `fixtures/sentiment`."""
    PICTURES.mkdir(exist_ok=True)
    predictor, _ = fixture("sentiment")
    sentence = {"sentence": "the music was not good, and we discussed the second half."}
    for name in methods_of_texts():
        explanations = interpreter(predictor, name).interpret_json(sentence)
        save_figure(explanations, PICTURES / f"{name}.svg", width=7)
    predictor, _ = fixture("copy-lm")
    listed = "beacon violet cedar engine bronze falcon cherry ivory"
    given = {"prompt": f"{listed} violet", "context": listed, "max_new_tokens": 1}
    explanations = interpreter(predictor, "attribute-context").interpret_json(given)
    save_figure(explanations, PICTURES / "attribute-context.svg", width=7)


def names() -> None:
    """Both names of every method: at the head of the page and of its sections, in the README."""
    from method_names import classes, overview, readme, with_headings
    from site_markdown import github_slug

    page = with_headings(PAGE.read_text(encoding="utf-8"), classes())
    PAGE.write_text(page, encoding="utf-8")
    write("names", overview(github_slug))
    write("methods", readme(), ROOT / "README.md")


def completeness() -> None:
    """The table of relative completeness errors, per architecture."""
    from tests.zoo import FAMILIES, Zoo

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        zoo = Zoo(Path(folder))
        for name in ARCHITECTURES:
            predictor = zoo.predictor(name)
            inputs = [
                {"sentence": one} if isinstance(one, str) else one
                for one in FAMILIES[name].sentences
            ]
            columns = [
                errors(interpreter(predictor, "deeplift"), inputs),
                errors(interpreter(predictor, "lrp"), inputs),
                *(
                    errors(interpreter(predictor, "integrated-gradients", steps=n), inputs)
                    for n in (8, 32, 128)
                ),
                *(captum_integrated(predictor, inputs, n) for n in (8, 32, 128)),
                captum_deeplift(predictor, inputs),
            ]
            rows.append([name, *columns])
    write(
        "completeness",
        table(
            [
                "architecture",
                "`deeplift`",
                "`lrp`",
                *(f"IG {n}" for n in (8, 32, 128)),
                *(f"captum IG {n}" for n in (8, 32, 128)),
                "captum DeepLIFT",
            ],
            rows,
        ),
    )


def errors(method: Any, inputs: Sequence[Any]) -> str:
    """The largest |convergence delta| as a share of what was to be accounted for."""
    shares = []
    for explanations in method.interpret_batch_json(inputs):
        for one in explanations:
            change = one.target["value"] - one.target.get("baseline_value", 0.0)
            shares.append(abs(one.convergence_delta) / max(abs(change), 1e-6))
    return f"{max(shares):.0e}"


def captum_run(
    predictor: Predictor, inputs: Sequence[Any], attribute: Callable[[Any, Any, Any], torch.Tensor]
) -> str:
    """captum's completeness error with the model behind its input embeddings, same baseline."""
    from captum_model import embedded

    shares = []
    for one in inputs:
        model, x, baseline = embedded(predictor, one)
        try:
            attributions = attribute(model, x, baseline)
        except Exception as error:
            return type(error).__name__
        change = (model(x) - model(baseline)).item()
        shares.append(abs(change - attributions.sum().item()) / max(abs(change), 1e-6))
    return f"{max(shares):.0e}"


def captum_integrated(predictor: Predictor, inputs: Sequence[Any], steps: int) -> str:
    """captum's integrated gradients, by its default rule."""
    from captum.attr import IntegratedGradients

    return captum_run(
        predictor,
        inputs,
        lambda model, x, b: IntegratedGradients(model).attribute(x, b, n_steps=steps),
    )


def captum_deeplift(predictor: Predictor, inputs: Sequence[Any]) -> str:
    """captum's DeepLIFT."""
    from captum.attr import DeepLift

    return captum_run(predictor, inputs, lambda model, x, b: DeepLift(model).attribute(x, b))


def rationales() -> None:
    """How often each method's top token is a rationale token, with every baseline."""
    rows = []
    loaded = {name: fixture(name) for name in ("sentiment", "topics")}
    for name in methods_of_texts():
        # Minutes for each baseline.
        baselines = BASELINES[:1] if name == "integrated-hessians" else BASELINES
        for baseline in baselines if takes_baseline(name) else (None,):
            params = {} if baseline is None else {"baseline": baseline}
            shares = [share(interpreter(p, name, **params), i) for p, i in loaded.values()]
            rows.append([f"`{name}`", baseline or "", *shares])
    write("rationales", table(["method", "baseline", *loaded], rows))


def share(method: Any, inputs: Sequence[dict[str, Any]]) -> str:
    """The share of rightly predicted inputs whose top token is in the rationale."""
    hits = []
    for one, done in zip(inputs, method.interpret_each(inputs, predict=True), strict=True):
        if isinstance(done.error, NotApplicableError):
            return "no attention"
        if isinstance(done.error, InterpretationError):
            return "no such token" if "no " in str(done.error) else "error"
        if done.error is not None:
            raise done.error
        if done.prediction["label"] == one["label"]:
            hits += [top_in_rationale(e, one["rationale"]) for e in done.explanations]
    return f"{sum(hits) / len(hits):.0%}"


def top_in_rationale(explanation: Explanation, spans: Iterable[Sequence[int]]) -> bool:
    """Whether the token with the highest score lies in one of some character spans."""
    (one,) = explanation.inputs
    top = max(range(len(one.tokens)), key=lambda i: one.attributions[i])
    offsets = one.offsets[top]
    return offsets is not None and any(s <= offsets[0] < e for s, e in spans)


def rules() -> None:
    """The table of which operation gets which rule by default."""
    write("rules", rules_table())


def rules_table() -> str:
    """A row for each combination of rules, with the operations that have it."""
    maps = (LRP_RULES, DEEPLIFT_RULES, GIM_RULES)
    operations = defaultdict(list)
    for name in sorted(set().union(*maps)):
        operations[tuple(one.get(name, "") for one in maps)].append(f"`{name}`")
    rows = [[" ".join(names), *given] for given, names in sorted(operations.items())]
    return table(["operations", "`lrp`", "`deeplift`", "`gim`"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(mark: str, text: str, path: Path = PAGE) -> None:
    """Puts a text between two marks of a page."""
    page = path.read_text(encoding="utf-8")
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, rest = page.split(start)
    _, after = rest.split(end)
    path.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    parts = {one.__name__: one for one in (names, pictures, completeness, rationales, rules)}
    for part in sys.argv[1:] or parts:
        parts[part]()
