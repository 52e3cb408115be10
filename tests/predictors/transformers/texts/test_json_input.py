"""What is told of an input that a predictor cannot read, or that it would read half of."""

from __future__ import annotations

import copy
from typing import Any

import numpy
import pytest

from allennlp_saliency.interpret import InterpretationError, SaliencyInterpreter
from allennlp_saliency.predictors import SaliencyPredictor, TransformersPredictor
from tests.zoo.task_models import INPUTS, inputs, model, predictor, tokenizer

MODELS = {
    "text-classification": "bert",
    "token-classification": "bert",
    "question-answering": "bert",
    "multiple-choice": "bert",
    "masked-lm": "bert",
    "causal-lm": "gpt2",
    "seq2seq": "bart",
}
WRONG_TEXTS = (["a"], {"a": "b"}, 3, True)
WRONG = {"choices": ("a", 3, [1, 2], ["a", None]), "max_new_tokens": ("3", 1.5, True, [3])}
PAIR = {"premise": "a great film", "hypothesis": "a film"}


def first_input(task: str) -> dict[str, Any]:
    return inputs(MODELS[task], task)[0]


def read(task: str, given: dict[str, Any]) -> Any:
    """The input's explanations, by way of an interpreter as a user goes."""
    interpreter: Any = SaliencyInterpreter.by_name("gradient")(predictor(MODELS[task], task))
    return interpreter.interpret_json(given)


@pytest.mark.parametrize(
    ("task", "key", "value"),
    [
        (task, key, value)
        for task in MODELS
        for key in INPUTS[task][0]
        for value in WRONG.get(key, WRONG_TEXTS)
    ],
)
def test_a_value_of_another_type(task: str, key: str, value: Any) -> None:
    given = {**first_input(task), key: value}
    told = f"'{key}' is (a text|a list of texts|a whole number), not "
    with pytest.raises(InterpretationError, match=told) as caught:
        read(task, given)
    assert f"{value!r} of type {type(value).__name__}" in str(caught.value)
    with pytest.raises(InterpretationError, match=told):
        predictor(MODELS[task], task).predict_json(given)


@pytest.mark.parametrize("messages", ["where is mary", ["where is mary"], {"content": "a"}])
def test_a_chat_that_is_none(messages: Any) -> None:
    with pytest.raises(InterpretationError, match=r"'messages' is a list of messages, .* not "):
        read("causal-lm", {"messages": messages})


@pytest.mark.parametrize("task", MODELS)
def test_null_where_something_is_needed(task: str) -> None:
    key = next(iter(INPUTS[task][0]))
    with pytest.raises(InterpretationError, match=f"'{key}'"):
        read(task, {**first_input(task), key: None})


def test_null_where_nothing_is_needed() -> None:
    given = {"sentence": "a great film", "premise": None, "hypothesis": None}
    assert len(read("text-classification", given)) == 1


@pytest.mark.parametrize(
    ("task", "given", "wrong", "meant"),
    [
        ("text-classification", {"sentense": "a great film"}, "sentense", "sentence"),
        ("text-classification", {"Sentence": "a film"}, "Sentence", "sentence"),
        ("text-classification", {"premise": "a", "hypotesis": "b"}, "hypotesis", "hypothesis"),
        ("token-classification", {"sentences": "mary"}, "sentences", "sentence"),
        ("question-answering", {"question": "who?", "pasage": "mary"}, "pasage", "passage"),
        ("multiple-choice", {"prompt": "a", "choice": ["b"]}, "choice", "choices"),
        ("causal-lm", {"prompt": "a", "max_new_token": 3}, "max_new_token", "max_new_tokens"),
        ("causal-lm", {"prompt": "a", "maxNewTokens": 3}, "maxNewTokens", "max_new_tokens"),
        ("causal-lm", {"prompt": "a", "continuations": " b"}, "continuations", "continuation"),
        ("seq2seq", {"source": "a", "max_tokens": 3}, "max_tokens", "max_new_tokens"),
        ("seq2seq", {"source": "a", "targets": "b"}, "targets", "target"),
        ("seq2seq", {"source": "a", "continuation": "b"}, "continuation", "target"),
    ],
)
def test_a_key_that_is_misspelt(task: str, given: Any, wrong: str, meant: str) -> None:
    with pytest.raises(InterpretationError, match=f"'{wrong}' .*did you mean '{meant}'"):
        read(task, given)


@pytest.mark.parametrize("task", MODELS)
def test_a_key_that_is_missing(task: str) -> None:
    with pytest.raises(InterpretationError, match=r"lacks the key|give (one|a) text"):
        read(task, {"id": 7})


@pytest.mark.parametrize("task", MODELS)
def test_keys_of_ones_own_are_left_alone(task: str) -> None:
    given = first_input(task)
    own = {"id": 3, "label": "positive", "gold": [1], "rationale": [[0, 1]], "split": None}
    # Close to a key that is there, so it is not that one which was meant.
    own |= {f"{key}_": "…" for key in given}
    made = predictor(MODELS[task], task)
    assert made.predict_json({**given, **own}) == made.predict_json(given)


def test_a_numbered_key_is_another_one() -> None:
    own = {"sentence1": "a great film", "sentence2": "a film"}
    assert len(read("text-classification", {**PAIR, **own})) == 1
    with pytest.raises(InterpretationError, match="two as 'premise' and 'hypothesis'"):
        read("text-classification", own)


def test_the_line_of_a_misspelt_key_is_an_error_among_good_ones() -> None:
    made = predictor("bert", "text-classification")
    saliency = SaliencyPredictor(made._model, made._dataset_reader, interpreter="gradient")
    lines = saliency.predict_batch_json(
        [{"sentence": "a film"}, {"sentense": "a film"}, {"sentence": 3}]
    )
    assert ["error" in line for line in lines] == [False, True, True]
    assert "'sentense'" in lines[1]["error"]["message"]
    assert "'sentence' is a text, not 3" in lines[2]["error"]["message"]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("special", [True, False])
def test_a_choice_without_tokens(number: int, special: bool) -> None:
    """With or without special tokens, which are the prompt's."""
    made = predictor("bert", "multiple-choice") if special else predictor_without_special_tokens()
    choices = ["in paris", "in london"]
    choices[number] = ""
    with pytest.raises(InterpretationError, match=f"choice {number} of 'choices'.*no tokens"):
        made.predict_json({"prompt": "mary", "choices": choices})


def predictor_without_special_tokens() -> Any:
    """A predictor whose tokenizer adds nothing, so that an empty text has no token at all."""
    own = tokenizer("bare-bytes")
    made = model("bert", "multiple-choice", vocab_size=len(own))
    return TransformersPredictor.from_pretrained(made, own)


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("text-classification", {**PAIR, "sentence_id": 3}),
        ("text-classification", {**PAIR, "sentence_A": "a", "sentences": "b"}),
        ("seq2seq", {"source": "a", "target_id": 3, "targets": ["b"], "max_new_tokens": 1}),
        ("causal-lm", {"prompt": "a", "message": "b", "oil": 1, "max_new_tokens": numpy.int64(1)}),
    ],
)
def test_names_of_other_things(task: str, given: dict[str, Any]) -> None:
    assert read(task, given)


def test_an_empty_text_to_compare_with() -> None:
    given = {"prompt": "a film", "continuation": " but", "changed_prompt": ""}
    with pytest.raises(InterpretationError, match="no tokens"):
        read("causal-lm", given)
    assert read("seq2seq", {"source": "a film", "target": "but", "changed_source": ""})


@pytest.mark.parametrize(
    ("task", "given", "wrong", "meant"),
    [
        ("text-classification", {"sentence": "a", "sentence2": "b"}, "sentence2", "sentence"),
        ("text-classification", {"sentence": "a", "sentence_b": "b"}, "sentence_b", "sentence"),
        ("text-classification", {"sentence": "a", "Sentence": "b"}, "Sentence", "sentence"),
        ("token-classification", {"sentence": "a", "sentence_2": "b"}, "sentence_2", "sentence"),
        ("question-answering", {"question": "a", "passage": "b", "passage2": "c"}, "passage2", "p"),
        ("multiple-choice", {"prompt": "a", "choices": ["b"], "choices2": ["c"]}, "choices2", "c"),
        ("seq2seq", {"source": "a", "source2": "b"}, "source2", "source"),
    ],
)
def test_more_of_a_text_that_is_there(task: str, given: Any, wrong: str, meant: str) -> None:
    with pytest.raises(InterpretationError, match=f"'{wrong}' looks like '{meant}"):
        read(task, given)
    # Of another kind, or empty, it is the user's own.
    own = {key: value for key, value in given.items() if key != wrong}
    expected = predictor(MODELS[task], task).predict_json(own)
    for value in (3, None):
        assert predictor(MODELS[task], task).predict_json({**own, wrong: value}) == expected


def test_one_text_and_two() -> None:
    with pytest.raises(InterpretationError, match="two as 'premise' and 'hypothesis'"):
        read("text-classification", {**PAIR, "sentence": "a"})


@pytest.mark.parametrize("task", MODELS)
def test_half_a_character(task: str) -> None:
    key, value = next(iter(first_input(task).items()))
    with pytest.raises(InterpretationError, match=f"'{key}' has half a character, .* at place 0"):
        read(task, {**first_input(task), key: "\ud800" + value})


@pytest.mark.parametrize("kind", [list, tuple, numpy.array])
def test_choices_in_any_row(kind: Any) -> None:
    given = first_input("multiple-choice")
    other = {**given, "choices": kind(given["choices"])}
    made = predictor("bert", "multiple-choice")
    assert made.predict_json(other) == made.predict_json(given)


class TestChats:
    chat = ({"role": "user", "content": "mary"}, {"role": "assistant", "content": "lives in"})

    def made(self, template: str) -> Any:
        own = copy.deepcopy(tokenizer("pieces-bos"))
        own.chat_template = template
        return TransformersPredictor.from_pretrained(model("llama", "causal-lm"), own)

    def prompt(self, made: Any, **given: Any) -> list[str]:
        return [token.text for token in made._json_to_instance(given)["prompt"].tokens]

    def test_special_tokens_are_there_once(self) -> None:
        made = self.made("{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}")
        own = made._dataset_reader.tokenizer
        text = own.apply_chat_template(list(self.chat[:1]), tokenize=False)
        assert text == "<s>mary"
        ids = own(text, add_special_tokens=False).input_ids
        expected = own.convert_ids_to_tokens(ids)
        assert self.prompt(made, prompt=text) == expected
        assert self.prompt(made, messages=self.chat[:1]) == expected
        assert self.prompt(made, prompt="mary")[0] == "<s>"
        # A text is begun by one; a second that is written out is the user's.
        assert self.prompt(made, prompt="<s><s>mary")[:2] == ["<s>", "<s>"]
        instance = made._json_to_instance({"prompt": text, "continuation": " lives"})
        after = [token.text_id for token in instance["request"].metadata["tokens"]]
        assert after == own(text + " lives", add_special_tokens=False).input_ids[len(ids) :]

    def test_the_assistants_words_are_gone_on_with(self) -> None:
        made = self.made(
            "{% for m in messages %}{{ m['content'] }}</s>{% endfor %}"
            "{% if add_generation_prompt %}john{% endif %}"
        )
        assert self.prompt(made, messages=self.chat)[-1] != "</s>"
        assert "".join(self.prompt(made, messages=self.chat[:1])).endswith("john")

    def test_a_template_that_refuses(self) -> None:
        made = self.made("{{ raise_exception('roles must alternate') }}")
        with pytest.raises(InterpretationError, match=r"does not take these .* must alternate"):
            self.prompt(made, messages=self.chat[:1])
        with pytest.raises(InterpretationError, match="'messages' has no message"):
            self.prompt(made, messages=[])
