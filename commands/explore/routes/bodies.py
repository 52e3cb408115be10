"""What the page's addresses take in a request's body."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Prediction(BaseModel):
    """A request for a prediction."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any] = Field(
        description="what the predictor reads",
        examples=[{"sentence": "a quiet film with a great heart"}],
    )
    model: str | None = Field(None, description="a name of /models; the first one by default")
    predictor: str | None = Field(None, description="a registered name; the default one if none")


class Results(BaseModel):
    """Results to be shown together."""

    model_config = ConfigDict(extra="forbid")

    lines: list[dict[str, Any]] = Field(
        description='lines of the output of `allennlp predict`: {"instance_1": {"explanation": …}}'
    )


class Interpretation(Prediction):
    """A request for an explanation."""

    interpreter: str | dict[str, Any] = Field(
        "integrated-gradients",
        description="a name of /methods, or an object of it as `type` and of parameters",
    )
