"""Multiple choice: a text and its possible continuations."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy
import torch
import torch.nn.functional as F
from allennlp.data import DatasetReader, Instance, TextFieldTensors, Vocabulary
from allennlp.data.fields import ListField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError

from ..model.label_vocabulary import LabelVocabulary
from ..model.model import TransformersModel
from ..predictor import TransformersPredictor, labelled
from ..texts.json_input import TEXT, TEXTS
from ..texts.reader import TransformersReader
from ..texts.token_sequence import TokenSequence, joined, without_items

_MOST_CHOICES = 1000


@DatasetReader.register("transformers-multiple-choice")
class TransformersMultipleChoiceReader(TransformersReader):
    """Reads `prompt` and `choices`."""

    def text_to_instance(self, prompt: str, choices: Sequence[str]) -> Instance:
        """A text and what may follow it.

        Args:
            prompt: The text.
            choices: The choices.

        Raises:
            InterpretationError: If there are no choices, or one has no tokens.
        """
        if isinstance(choices, str) or len(choices) == 0:
            raise InterpretationError("'choices' is a list of at least one text")
        pairs = [self._tokenizer.pair(prompt, choice) for choice in choices]
        for number, (_, second) in enumerate(pairs):
            if not second:
                raise InterpretationError(
                    f"choice {number} of 'choices' (counted from 0), {choices[number]!r}, has no "
                    "tokens, so there is nothing to choose; give it a text or leave it out"
                )
        numbered = zip(pairs, choices, strict=True)
        fields = [self.text_field(second, choice) for (_, second), choice in numbered]
        first, _ = pairs[0]
        return Instance({"prompt": self.text_field(first, prompt), "choices": ListField(fields)})


@Model.register("transformers-multiple-choice")
class TransformersMultipleChoice(TransformersModel):
    """A Hugging Face model with a head for multiple choice.

    Choices are called by their numbers, from `"0"`.
    """

    task = "multiple-choice"
    default_predictor = "transformers-multiple-choice"
    pools = True
    sizes: ClassVar = {"logits": 2}

    def label_vocabulary(self) -> Vocabulary:
        """Numbers."""
        return LabelVocabulary({number: str(number) for number in range(_MOST_CHOICES)})

    def forward(
        self, prompt: TextFieldTensors, choices: TextFieldTensors, label: Tensor | None = None
    ) -> dict[str, Any]:
        """Chooses.

        Args:
            prompt: The texts, indexed.
            choices: Their choices, indexed, `(rows, choices, positions)`.
            label: `(rows,)`, the numbers of the right ones.

        Returns:
            `logits` and `probs`, `(rows, choices)`, and with labels `loss`, the mean cross
            entropy.
        """
        (sequence,) = self.joined_texts({"prompt": prompt, "choices": choices})
        there = choices["tokens"]["mask"].any(-1)
        inputs = {
            # (rows, choices, positions)
            name: value.view(*there.shape, -1) if isinstance(value, Tensor) else value
            for name, value in self.inputs(sequence).items()
        }
        logits = self.call(inputs).logits.float()
        logits = logits.masked_fill(~there, torch.finfo(logits.dtype).min)
        outputs: dict[str, Any] = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = F.cross_entropy(logits, label.view(-1))
        return outputs

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """The text and a choice as one sequence, for each choice."""
        given = {name: fields[name] for name in ("prompt", "choices")}
        sequence = joined(given, self.padding_id, ("choices", "prompt"), self.reads_last)
        return [without_items(sequence, fields["choices"]["tokens"]["mask"].any(-1))]

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The prompt; the choices stay as they are."""
        choices: Any = instance["choices"]
        longest = max(len(choice.tokens) for choice in choices.field_list)
        return ["prompt"], {"the longest of 'choices'": longest}

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        """Adds `best`, the number of the best choice."""
        output_dict["best"] = output_dict["logits"].argmax(-1).tolist()
        return output_dict


@Predictor.register("transformers-multiple-choice")
class TransformersMultipleChoicePredictor(TransformersPredictor):
    """Reads `{"prompt": "…", "choices": ["…", "…"]}`; explains the best choice. The prompt is one
    input, every choice another."""

    reads: ClassVar = {"prompt": TEXT, "choices": TEXTS}

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, numpy.ndarray]
    ) -> list[Instance]:
        """The instance with its best choice; the outputs' `logits` are `(choices,)`."""
        return [labelled(instance, int(numpy.argmax(outputs["logits"])))]
