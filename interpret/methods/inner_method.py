"""A method that another one is built on, from a config within its config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance

from .. import checks
from ..explanation import JsonDict
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..space.embedding_space import EmbeddingSpace
from ..space.session import Session
from ..target.row_loss import RowLoss

_OUTER = frozenset({"target", "aggregation", "normalization", "token_budget", "granularity"})


class OuterMethod(SaliencyInterpreter):
    """A method that runs another one, from a config within its config.

    Attributes:
        method: The other one's config, without what both have.
    """

    _method: SaliencyInterpreter

    def wrap(self, name: str, given: Any) -> None:
        """Makes the other method; its constructor's last line.

        Args:
            name: The registered name of this one.
            given: The name of the other one, or its params dict.

        Raises:
            ConfigurationError: If there is no such method, or a parameter is not one of its own.
        """
        self._method = inner_method(self, name, given)
        self.method = {k: v for k, v in self._method.config().items() if k not in _OUTER}
        self.mixes_lengths = self._method.mixes_lengths
        self.shares_prefixes = self._method.shares_prefixes

    def check_settings(self) -> None:
        super().check_settings()
        self._method.check_settings()

    def space(
        self, session: Session, instances: Sequence[Instance], row_loss: RowLoss
    ) -> EmbeddingSpace:
        return self._method.space(session, instances, row_loss)


def inner_method(outer: SaliencyInterpreter, name: str, given: Any) -> SaliencyInterpreter:
    """The method that another one runs, with the other's predictor, target and granularity.

    Args:
        outer: The other one.
        name: Its registered name.
        given: The name of the method, or its params dict.

    Raises:
        ConfigurationError: If there is no such method, or a parameter is not one of its own.
    """
    if isinstance(given, Params):
        given = given.as_dict(quiet=True)
    if not isinstance(given, (str, Mapping)):
        raise ConfigurationError(
            f"method is the name of a method or a dict of its parameters, not {given!r:.100}"
        )
    # A copy: from_params consumes what it is given.
    params: JsonDict = {"type": given} if isinstance(given, str) else deepcopy(dict(given))
    common = sorted(_OUTER & params.keys())
    if common:
        raise ConfigurationError(
            f"{', '.join(map(repr, common))} of the method {params.get('type')!r} belongs to "
            f"{name!r} itself: name it beside 'method', not in it"
        )
    known = sorted(filter(_is_own, SaliencyInterpreter.list_available()))
    own = checks.choice("method", params.get("type"), known)
    try:
        return SaliencyInterpreter.from_params(
            Params(params),
            predictor=outer.predictor,
            target=outer.target,
            granularity=outer.granularity,
        )
    except TypeError as error:
        raise ConfigurationError(f"the method {own!r} of {name!r}: {error}") from error


def _is_own(name: str) -> bool:
    kind: Any = SaliencyInterpreter.by_name(name)
    return issubclass(kind, SaliencyInterpreter)
