"""Predictors that read part-of-speech tags: SRL, open IE, dependency and constituency parsers."""

from __future__ import annotations

from functools import wraps
from typing import Any

from ..registry import after

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


@after(f"{_PREDICTORS}.srl", why=_WHY)
def srl_tags(module: Any) -> bool:
    """Refuse tokens without tags, also those of `predict_tokenized`."""
    predictor = module.SemanticRoleLabelerPredictor
    original = predictor.tokens_to_instances

    @wraps(original)
    def tokens_to_instances(self: Any, tokens: Any) -> Any:
        require_tags(tokens, self._language, type(self).__name__)
        return original(self, tokens)

    predictor.tokens_to_instances = tokens_to_instances
    return True


@after(f"{_PREDICTORS}.openie", why=_WHY)
def open_ie_tags(module: Any) -> bool:
    """Refuse sentences without tags."""
    return _check_tags(module.OpenIePredictor, lambda model: True)


@after(f"{_PREDICTORS}.biaffine_dependency_parser", why=_WHY)
def dependency_tags(module: Any) -> bool:
    """Refuse sentences without tags, where the parser embeds them."""
    return _check_tags(
        module.BiaffineDependencyParserPredictor,
        lambda model: getattr(model, "_pos_tag_embedding", None) is not None,
    )


@after(f"{_PREDICTORS}.constituency_parser", why=_WHY)
def constituency_tags(module: Any) -> bool:
    """Refuse sentences without tags, where the parser embeds them."""
    return _check_tags(
        module.ConstituencyParserPredictor,
        lambda model: getattr(model, "pos_tag_embedding", None) is not None,
    )


def _check_tags(predictor: Any, reads_tags: Any) -> bool:
    original = predictor.__init__

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if reads_tags(self._model):
            self._tokenizer = TagsNeeded(self._tokenizer, type(self).__name__)

    predictor.__init__ = __init__
    return True
