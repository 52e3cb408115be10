"""Interaction indices of games, as shapiq computes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, Floats, UnitScores
from ...explanation import JsonDict
from ...explanations import ExplainedInputs
from ..perturbation.perturbation_method import PerturbationMethod

_EXACT_UNITS = 12

_Found = TypeVar("_Found")


def interactions(
    predictor: Predictor,
    inputs: Sequence[JsonDict],
    index: str = "FSII",
    order: int = 2,
    approximator: str | None = None,
    budget: int = 512,
    seed: int = 0,
    **common: Any,
) -> ExplainedInputs:
    """Interactions of units by one of shapiq's indices.

    Muschalik et al. 2024, "shapiq: Shapley Interactions for Machine Learning". It takes the extra
    `interactions` of this package.

    Args:
        predictor: The predictor whose predictions are explained.
        inputs: What its `predict_json` takes.
        index: shapiq's name of an index: "FSII" (Tsai et al. 2023, faithful Shapley interactions),
            "k-SII", "STII", "FBII", "SV", and so on.
        order: 2 for pairs, 1 for single units alone.
        approximator: shapiq's name of an approximator ("ProxySPEX", "RegressionFSII"); None
            computes all 2^n coalitions of n units up to 12, and takes "ProxySPEX" beyond.
        budget: Values of the target per input, at most, for an approximator.
        seed: Seed of the approximator; the same seed gives the same numbers in any batch.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`.

    Returns:
        Per input an explanation of each prediction: a score per unit, and `interactions`.

    Raises:
        ConfigurationError: If shapiq is not installed, or a name or a number fits nothing.
        InterpretationError: If an input cannot be explained.
    """
    method = ShapiqInteractions(predictor, index, order, approximator, budget, seed, **common)
    return method.interpret_batch_json(inputs)


def asking(
    compute: Callable[[Callable[[Coalitions], Floats]], _Found],
) -> Generator[Coalitions, Floats, _Found]:
    """An estimator of a function that calls another one for values.

    The function runs in a thread of its own, which waits while the model is asked here.

    Args:
        compute: It is given the function to call, of coalitions `(rows, units)` their values,
            `(rows,)`.

    Returns:
        What it returns.
    """
    questions: SimpleQueue[Coalitions | None] = SimpleQueue()
    answers: SimpleQueue[Floats | None] = SimpleQueue()

    def ask(masks: Coalitions) -> Floats:
        questions.put(masks)
        found = answers.get()
        if found is None:
            raise CancelledError
        return found

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(compute, ask)
        future.add_done_callback(lambda _: questions.put(None))
        try:
            while (masks := questions.get()) is not None:
                answers.put((yield masks))
        finally:
            # Nobody is left to answer a function that waits.
            answers.put(None)
    return future.result()


class ShapiqInteractions(PerturbationMethod):
    """One of shapiq's indices as an interpreter; see `interactions` for the arguments."""

    def __init__(
        self,
        predictor: Predictor,
        index: str = "FSII",
        order: int = 2,
        approximator: str | None = None,
        budget: int = 512,
        seed: int = 0,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.index = index
        self.order = checks.integer("order", order, least=1, most=2)
        self.approximator = approximator
        self.budget = checks.integer("budget", budget, least=2)
        self.seed = checks.seed("seed", seed)
        # A name that there is not is an error now, not after the first input.
        self._computer(2, lambda masks: masks.sum(axis=1).astype(np.float64))

    @property
    def n_evaluations(self) -> int:
        return self.budget

    def estimator(self, units: int) -> Estimator:
        def compute(ask: Callable[[Coalitions], Floats]) -> Any:
            def values(masks: np.ndarray) -> Floats:
                return ask(np.asarray(masks, dtype=bool).reshape(-1, units))

            return self._computer(units, values)()

        found = yield from asking(compute)
        scores = np.zeros(units)
        pairs = []
        for members, value in found.interactions.items():
            if len(members) == 1:
                scores[members[0]] = value
            elif len(members) == 2:
                pairs.append((min(members), max(members), float(value)))
        return UnitScores(
            scores, interactions=sorted(pairs), details={"estimated": found.estimated}
        )

    def _computer(self, units: int, values: Callable[[Coalitions], Floats]) -> Callable[[], Any]:
        """Computes the index of a game with so many units when it is called."""
        # Imported here: it takes seconds, and only this needs it.
        try:
            import shapiq
        except ImportError as error:
            raise ConfigurationError(
                f"interactions take shapiq ({error}): pip install 'allennlp-saliency[interactions]'"
            ) from error
        from shapiq.game_theory.indices import ALL_AVAILABLE_CONCEPTS

        if self.index not in ALL_AVAILABLE_CONCEPTS:
            known = ", ".join(ALL_AVAILABLE_CONCEPTS)
            raise ConfigurationError(f"there is no index {self.index!r}; there are {known}")
        if self.approximator is None and units <= _EXACT_UNITS:
            exact: Any = shapiq.ExactComputer(n_players=units, game=values)
            return lambda: exact(self.index, order=min(self.order, units))
        name = self.approximator or "ProxySPEX"
        kind: Any = getattr(shapiq, name, None)
        fits = inspect.isclass(kind) and issubclass(kind, shapiq.approximator.Approximator)
        if not fits:
            raise ConfigurationError(f"shapiq has no approximator {name!r}")
        if self.index not in kind.valid_indices:
            raise ConfigurationError(
                f"{name} does not approximate {self.index}, but {', '.join(kind.valid_indices)}"
            )
        settings = {"index": self.index, "max_order": self.order, "random_state": self.seed % 2**32}
        taken = inspect.signature(kind).parameters
        try:
            found = kind(n=units, **{key: own for key, own in settings.items() if key in taken})
        except ImportError as error:
            raise ConfigurationError(f"{name}: {error}") from error
        return lambda: found.approximate(self.budget, values)
