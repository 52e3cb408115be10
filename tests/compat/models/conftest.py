"""Small random models of the kinds that allennlp-models loads itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("allennlp_models")

WORDS = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"]
PAD, END = 1, 2


@pytest.fixture(scope="session")
def save() -> Callable[[Any, Path], str]:
    """Save a model and a tokenizer of single letters into a folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", END)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )

    def write(model: Any, folder: Path, **kwargs: Any) -> str:
        model.save_pretrained(folder, **kwargs)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return write


@pytest.fixture
def bart() -> Any:
    """A BART whose letters depend on the source and on each other."""
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(10)
    config = BartConfig(
        vocab_size=len(WORDS),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=40,
        bos_token_id=0,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=END,
        forced_eos_token_id=None,
        init_std=0.3,
        # Otherwise the letter just written is the likeliest again.
        tie_word_embeddings=False,
    )
    return BartForConditionalGeneration(config).eval()


@pytest.fixture
def t5() -> Any:
    """A T5 with tied embeddings, which its safetensors file holds once."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(7)
    config = T5Config(
        vocab_size=len(WORDS),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=PAD,
        initializer_factor=3.0,
    )
    return T5ForConditionalGeneration(config).eval()


@pytest.fixture
def source() -> dict[str, dict[str, torch.Tensor]]:
    """Three texts of different lengths, as AllenNLP's indexer gives them."""
    ids = torch.tensor([[0, 5, 6, 7, END], [0, 9, 8, END, PAD], [0, 20, END, PAD, PAD]])
    return {"tokens": {"token_ids": ids, "mask": ids != PAD}}


def generated(model: Any, source: Any, beams: int, steps: int) -> tuple[list[Any], list[float]]:
    """What transformers writes with a beam search, and its log probability.

    Both searches are of the same algorithm where no hypothesis ends before the last step, or where
    lengths are not penalised and none is dropped early.
    """
    tokens = source["tokens"]
    with torch.no_grad():
        written = model.generate(
            tokens["token_ids"],
            attention_mask=tokens["mask"],
            num_beams=beams,
            do_sample=False,
            max_new_tokens=steps,
            length_penalty=0.0,
            early_stopping="never",
        )[:, 1:]
        scores = (
            model(
                tokens["token_ids"],
                attention_mask=tokens["mask"],
                decoder_input_ids=torch.cat(
                    (
                        torch.full((len(written), 1), model.config.decoder_start_token_id),
                        written[:, :-1],
                    ),
                    dim=1,
                ),
            )
            .logits.log_softmax(-1)
            .gather(-1, written[..., None])[..., 0]
        )
    rows, sums = [], []
    for row, values in zip(written.tolist(), scores.tolist(), strict=True):
        length = row.index(END) + 1 if END in row else len(row)
        rows.append(row[:length])
        sums.append(sum(values[:length]))
    return rows, sums


def until_end(rows: Any) -> list[list[int]]:
    """Token ids up to and with the first end."""
    return [row[: row.index(END) + 1] if END in row else row for row in rows.tolist()]
