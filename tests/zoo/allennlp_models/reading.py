"""Reading comprehension: BiDAF, QANet, and NAQANet with each kind of answer."""

from __future__ import annotations

import math
from typing import Any

import allennlp_models.rc  # noqa: F401  registers its classes
from allennlp.data.fields import ListField, SequenceLabelField
from torch import Tensor

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

QUESTIONS = (
    {"question": "who saw the film", "passage": "mary saw a great film in paris ."},
    {"question": "what", "passage": "awful film"},
    {
        "question": "who had a little book in london",
        "passage": "john knew the actor and the dog had a little book in paris , but she lived in "
        "london with the actor and he had a new film",
    },
)
NUMBERS = (
    {"question": "how many films", "passage": "mary saw 12 great films and 3 awful films ."},
    {"question": "how many", "passage": "john had 7 of them"},
    {
        "question": "how many more actors than dogs lived in the city",
        "passage": "in 1998 there were 25 actors , 4 dogs and a teacher ; in 2005 they had 31 of "
        "the actors and 2 dogs , and the plot was great",
    },
)
_EMBEDDER = {"token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}}
_INDEXERS = {"tokens": {"type": "single_id", "lowercase_tokens": True}}
_VOCABULARY = {"tokens": (*WORDS, *"who what how many more 12 3 7 25 4 31 2".split())}

_ATTENTION = {
    "type": "linear",
    "tensor_1_dim": 8,
    "tensor_2_dim": 8,
    "combination": "x,y,x*y",
}


def _lstm(width: int) -> JsonDict:
    return {"type": "lstm", "input_size": width, "hidden_size": 4, "bidirectional": True}


def _read(kind: str) -> JsonDict:
    return {
        "type": kind,
        "tokenizer": {"type": "letters_digits"},
        "token_indexers": dict(_INDEXERS),
    }


def _encoder(blocks: int) -> JsonDict:
    return {
        "type": "qanet_encoder",
        "input_dim": 8,
        "hidden_dim": 8,
        "attention_projection_dim": 8,
        "feedforward_hidden_dim": 8,
        "num_blocks": blocks,
        "num_convs_per_block": 1,
        "conv_kernel_size": 3,
        "num_attention_heads": 2,
    }


def _by_hand(number: Any) -> Any:
    """By a number of what the model returns for an unlabelled instance."""

    def by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
        instance = predictor._json_to_instance(dict(inputs))
        predictor._dataset_reader.apply_token_indexers(instance)
        model = predictor._model
        ((question, passage),) = scores_of(
            model, model._text_field_embedder, instance, lambda outputs: [number(outputs)]
        )
        # An explanation lists what was embedded last first.
        return [[*passage.flatten().tolist(), *question.flatten().tolist()]]

    return by_hand


def _of_best_span(outputs: dict[str, Any]) -> Tensor:
    first, last = outputs["best_span"][0].tolist()
    return outputs["span_start_probs"][0, first].log() + outputs["span_end_probs"][0, last].log()


def _expected(prediction: JsonDict) -> list[float]:
    first, last = prediction["best_span"]
    probabilities = prediction["span_start_probs"][first], prediction["span_end_probs"][last]
    return [sum(map(math.log, probabilities))]


@archive(
    "bidaf",
    each="question",
    inputs=QUESTIONS,
    count=lambda prediction: 1,
    expected=_expected,
    by_hand=_by_hand(_of_best_span),
)
def bidaf(folders: Folders) -> Parts:
    model = {
        "type": "bidaf",
        "text_field_embedder": _EMBEDDER,
        "num_highway_layers": 1,
        "phrase_layer": _lstm(8),
        "matrix_attention": dict(_ATTENTION),
        "modeling_layer": _lstm(32),
        "span_end_encoder": _lstm(56),
    }
    return Parts({"dataset_reader": _read("squad"), "model": model}, _VOCABULARY, scale=2.0)


@archive(
    "qanet",
    each="question",
    inputs=QUESTIONS,
    count=lambda prediction: 1,
    expected=_expected,
    by_hand=_by_hand(_of_best_span),
)
def qanet(folders: Folders) -> Parts:
    model = {
        "type": "qanet",
        "text_field_embedder": _EMBEDDER,
        "num_highway_layers": 1,
        "phrase_layer": _encoder(1),
        "matrix_attention_layer": dict(_ATTENTION),
        "modeling_layer": _encoder(2),
    }
    return Parts({"dataset_reader": _read("squad"), "model": model}, _VOCABULARY, scale=1.0)


ABILITIES = {
    "passage_span": "passage_span_extraction",
    "question_span": "question_span_extraction",
    "arithmetic": "addition_subtraction",
    "count": "counting",
}


def naqanet(kind: str) -> Parts:
    """One that gives answers of one kind.

    Args:
        kind: What the model calls the answers' type.
    """
    model = {
        "type": "naqanet",
        "text_field_embedder": _EMBEDDER,
        "num_highway_layers": 1,
        "phrase_layer": _encoder(1),
        "matrix_attention_layer": dict(_ATTENTION),
        "modeling_layer": _encoder(1),
        "answering_abilities": list(ABILITIES.values()),
    }
    number = list(ABILITIES).index(kind)

    def adjust(made: Any) -> None:
        made._answer_ability_predictor._linear_layers[-1].bias[number] += 6
        # AllenNLP's own loss leaves out a sum without numbers.
        made._number_sign_predictor._linear_layers[-1].bias[0] -= 4

    return Parts(
        {"dataset_reader": _read("drop"), "model": model}, _VOCABULARY, adjust=adjust, scale=1.0
    )


def _one(prediction: JsonDict) -> int:
    return 1


def _labelled(predictor: Any, inputs: JsonDict) -> Any:
    """The instance as AllenNLP labels it: minus its loss is the marginal log-likelihood of the one
    answer that is given."""
    instance = predictor._json_to_instance(dict(inputs))
    predictor._dataset_reader.apply_token_indexers(instance)
    outputs = predictor._model.forward_on_instance(instance)
    answer = outputs["answer"]
    if answer["answer_type"] != "arithmetic":
        (labelled,) = predictor.predictions_to_labeled_instances(instance, outputs)
        return labelled
    # AllenNLP's own labels of sums cannot be batched.
    ((given,),) = (instance["answer_as_add_sub_expressions"].field_list,)
    signs = [{0: 0, 1: 1, -1: 2}[number["sign"]] for number in answer["numbers"]]
    signs += [0] * (len(given.labels) - len(signs))
    field = ListField([SequenceLabelField(signs, given.sequence_field)])
    instance.add_field("answer_as_add_sub_expressions", field, predictor._model.vocab)
    return instance


def _minus_loss(predictor: Any, inputs: JsonDict) -> list[float]:
    outputs = predictor._model.forward_on_instance(_labelled(predictor, inputs))
    return [-float(outputs["loss"])]


def _number_by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    model = predictor._model
    ((question, passage),) = scores_of(
        model,
        model._text_field_embedder,
        _labelled(predictor, inputs),
        lambda outputs: [-outputs["loss"]],
    )
    return [[*passage.flatten().tolist(), *question.flatten().tolist()]]


def _naqanet(kind: str, tokens_labelled: bool = True) -> None:
    archive(
        f"naqanet-{kind.replace('_', '-')}",
        each="question",
        inputs=NUMBERS,
        count=_one,
        values=_minus_loss,
        by_hand=_number_by_hand,
        tokens_labelled=tokens_labelled,
    )(lambda folders: naqanet(kind))


_naqanet("passage_span")
_naqanet("question_span")
_naqanet("arithmetic")
_naqanet("count", tokens_labelled=False)
