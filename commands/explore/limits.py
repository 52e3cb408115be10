"""How much a request may ask for."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """How much a request may ask for.

    Attributes:
        body_bytes: The size of a request's body.
        characters: The length of all texts of an input together.
        attention: The same where the attention of all layers and heads is asked for: its size grows
            with the square of the length.
        number: The largest whole number of a method's parameters, steps and samples among them, and
            of an input (`max_new_tokens`).
        seconds: How long a model may work on a request; it is stopped before its next pass.
        waiting: How many requests may wait for a model.
        depth: How deep lists and objects may lie in each other.
    """

    body_bytes: int = 262_144
    characters: int = 20_000
    attention: int = 1_000
    number: int = 2_000
    seconds: float = 120.0
    waiting: int = 8
    depth: int = 16

    def to_json(self) -> dict[str, float]:
        """The limits by name."""
        return asdict(self)
