"""Words of texts that the user gives, in the place of those that are absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from allennlp.common.checks import ConfigurationError

from .. import checks
from ..errors import InterpretationError
from .baselines import AverageBaseline, Baseline, TextBaseline
from .embedding_space import EmbeddingSpace
from .layout import EmbeddingCall


@Baseline.register("samples")
class SampleBaseline(AverageBaseline):
    """Passages of texts that the user gives, a random one in each of several samples.

    A passage begins anywhere in its text, is as long as the input and begins anew where its text
    ends. Methods take the mean over the samples: marginal imputation (Lundberg and Lee 2017, "A
    Unified Approach to Interpreting Model Predictions", equation 9: E[F] over a background set).

    Args:
        texts: The texts, such as inputs of the model's training.
        file: A file of texts in their place, one a line; explanations name it.
        num_samples: How many passages are drawn, with replacement.
        seed: Seed of the draws, which are the same for every input.
        keep_special_tokens: As in `Baseline`.

    Raises:
        ConfigurationError: If there are no texts, or texts and a file, or the file cannot be read.
    """

    def __init__(
        self,
        texts: list[str] | None = None,
        file: str | None = None,
        num_samples: int = 8,
        seed: int = 0,
        keep_special_tokens: bool = True,
    ) -> None:
        if (texts is None) == (file is None):
            raise ConfigurationError("samples are drawn from 'texts', or from a 'file' of lines")
        self.texts = None if texts is None else _checked(texts)
        self.file = None if file is None else checks.text("file", file)
        self.num_samples = checks.integer("num_samples", num_samples, least=1)
        self.seed = checks.seed("seed", seed)
        known = self.texts or _lines(file or "")
        generator = np.random.default_rng(self.seed % 2**64)
        places = generator.integers(len(known), size=self.num_samples)
        starts = generator.random(self.num_samples)
        super().__init__(
            [
                _Passage(known[place], float(start), keep_special_tokens)
                for place, start in zip(places, starts, strict=True)
            ]
        )
        self.keep_special_tokens = checks.boolean("keep_special_tokens", keep_special_tokens)

    def replacements(self) -> Sequence[Baseline]:
        return [self]

    def draws(self) -> Sequence[Baseline]:
        return self.members()


class _Passage(TextBaseline):
    """A text from somewhere in it on, and then from its beginning.

    Args:
        text: The text.
        start: Where it starts, as a share of its tokens.
        keep_special_tokens: As in `Baseline`.
    """

    def __init__(self, text: str, start: float, keep_special_tokens: bool) -> None:
        super().__init__(text, keep_special_tokens)
        self.start = start

    def _indices(self, space: EmbeddingSpace, call: EmbeddingCall) -> list[int]:
        own = super()._indices(space, call)
        if not own:
            raise InterpretationError(f"the text {self.text!r:.60} of the samples has no tokens")
        first = int(self.start * len(own))
        return [own[(first + place) % len(own)] for place in range(call.positions)]


def _checked(texts: Sequence[str]) -> list[str]:
    listed = isinstance(texts, Sequence) and not isinstance(texts, (str, bytes))
    if not listed or not all(isinstance(one, str) and one.strip() for one in texts):
        raise ConfigurationError(
            f"'texts' is a list of texts, none of them empty, not {texts!r:.60}"
        )
    if not texts:
        raise ConfigurationError("texts is a list of texts, and there are none")
    return list(texts)


def _lines(file: str) -> list[str]:
    if not Path(file).is_file():
        raise ConfigurationError(f"the file of samples {file} is no file")
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the file of samples cannot be read: {error}") from error
    found = [line for line in lines if line.strip()]
    if not found:
        raise ConfigurationError(f"the file of samples {file} has no text")
    return found
