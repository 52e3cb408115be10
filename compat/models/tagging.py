"""Predictors that read part-of-speech tags: SRL, open IE, dependency and constituency parsers."""

from __future__ import annotations

from typing import Any

from ..registry import Original, patch

_PREDICTORS = "allennlp_models.structured_prediction.predictors"
_WHY = "without a spaCy model there are no part-of-speech tags, and the output is silently empty"


class TagsNeeded:
    """A tokenizer whose tokens must have part-of-speech tags.

    Args:
        tokenizer: AllenNLP's `SpacyTokenizer`; it does everything else as before.
        reader: what reads the tags, as errors name it.
    """

    def __init__(self, tokenizer: Any, reader: str) -> None:
        self.tokenizer = tokenizer
        self.reader = reader

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "tokenizer":
            raise AttributeError(name)
        return getattr(self.tokenizer, name)

    def tokenize(self, text: str) -> list[Any]:
        """The tokens of a text.

        Raises:
            OSError: no token has a part-of-speech tag.
        """
        tokens: list[Any] = self.tokenizer.tokenize(text)
        require_tags(tokens, self.tokenizer._language, self.reader)
        return tokens


def require_tags(tokens: Any, language: str, reader: str) -> None:
    """Raise an error where there are tokens, and none has a part-of-speech tag.

    Raises:
        OSError: as spaCy does where a model is missing; the message says what to install.
    """
    if not tokens or any(token.pos_ or token.tag_ for token in tokens):
        return
    raise OSError(
        f"{reader} reads part-of-speech tags, and the spaCy model '{language}' gives none: it is "
        "not installed, or it has no tagger. Install it with "
        f"`python -m spacy download {language}`, or name one that is installed, or the folder of "
        'one, with `--predictor-args \'{"language": "…"}\'`.'
    )


@patch(f"{_PREDICTORS}.srl", "SemanticRoleLabelerPredictor.tokens_to_instances", why=_WHY)
def srl_tags(original: Original, predictor: Any, tokens: Any) -> Any:
    """Refuse tokens without tags, also those of `predict_tokenized`."""
    require_tags(tokens, predictor._language, type(predictor).__name__)
    return original(predictor, tokens)


@patch(f"{_PREDICTORS}.openie", "OpenIePredictor.__init__", why=_WHY)
def open_ie_tags(original: Original, predictor: Any, *args: Any, **more: Any) -> None:
    """Refuse sentences without tags."""
    original(predictor, *args, **more)
    predictor._tokenizer = TagsNeeded(predictor._tokenizer, type(predictor).__name__)


def parser_tags(original: Original, predictor: Any, *args: Any, **more: Any) -> None:
    """Refuse sentences without tags, where the parser embeds them."""
    original(predictor, *args, **more)
    model = predictor._model
    if any(getattr(model, f"{mark}pos_tag_embedding", None) is not None for mark in ("", "_")):
        predictor._tokenizer = TagsNeeded(predictor._tokenizer, type(predictor).__name__)


for _module, _class in (
    ("biaffine_dependency_parser", "BiaffineDependencyParserPredictor"),
    ("constituency_parser", "ConstituencyParserPredictor"),
):
    patch(f"{_PREDICTORS}.{_module}", f"{_class}.__init__", why=_WHY)(parser_tags)
