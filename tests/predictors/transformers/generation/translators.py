"""Small encoder-decoders whose texts begin and end as those of well-known families do."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import TEXTS, tokenizer
from tests.zoo.transformers import spread

_SIZES = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
}
FAMILIES: tuple[str, ...] = ("bart", "t5", "m2m_100", "marian")
if int(version("transformers").partition(".")[0]) >= 5:
    # Before, these took files of sentencepiece models.
    FAMILIES = (*FAMILIES, "mbart", "mbart50", "nllb")


def translator(family: str, folder: Path, **generation: Any) -> TransformersPredictor:
    """A predictor with random weights.

    Args:
        family: One of `FAMILIES`.
        folder: Where a tokenizer may write its files.
        generation: What its generation config says beside what the family's do.
    """
    import transformers as tf

    own = _tokenizer(family, folder)
    special = {f"{one}_token_id": getattr(own, f"{one}_token_id") for one in ("pad", "bos", "eos")}
    code = own.convert_tokens_to_ids
    # Some codes of languages have numbers behind the vocabulary.
    codes: Any = getattr(own, "lang_token_to_id", {})
    size = max(*own.get_vocab().values(), *codes.values(), 0) + 1
    first: int | None = None
    if family == "t5":
        config: Any = tf.T5Config(
            vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2
        )
        made: Any = tf.T5ForConditionalGeneration(config)
        start = special["pad_token_id"]
    elif family == "marian":
        config = tf.MarianConfig(vocab_size=size, **_SIZES, **special)
        made = tf.MarianMTModel(config)
        start = special["pad_token_id"]
    elif family == "bart":
        config = tf.BartConfig(vocab_size=size, **_SIZES, **special)
        made = tf.BartForConditionalGeneration(config)
        start, first = special["eos_token_id"], special["bos_token_id"]
    elif family == "mbart":
        made = tf.MBartForConditionalGeneration(
            tf.MBartConfig(vocab_size=size, **_SIZES, **special)
        )
        start = code("ro_RO")
    else:
        kind = "MBart" if family == "mbart50" else "M2M100"
        config = getattr(tf, f"{kind}Config")(vocab_size=size, **_SIZES, **special)
        made = getattr(tf, f"{kind}ForConditionalGeneration")(config)
        start = special["eos_token_id"]
        first = code({"mbart50": "ro_RO", "nllb": "fra_Latn", "m2m_100": "__fr__"}[family])
    spread(made, 3)
    made.tie_weights()
    # Words and ends: of other tokens decoding does not keep where they begin.
    names = own.convert_ids_to_tokens(list(range(size)))
    words = {n for n, name in enumerate(names) if name and name[0] in "▁Ġ" and len(name) > 2}
    given = {
        "decoder_start_token_id": start,
        "forced_bos_token_id": first,
        "suppress_tokens": [
            n for n in range(size) if n not in words | {first, special["eos_token_id"]}
        ],
        **special,
        **generation,
    }
    made.generation_config = tf.GenerationConfig(**given)
    return TransformersPredictor.from_pretrained(made.eval(), own)


def _tokenizer(family: str, folder: Path) -> Any:
    import transformers as tf

    if family == "bart":
        return tokenizer("bytes")
    if family == "t5":
        return tokenizer("pieces-eos")
    if family in ("mbart", "mbart50"):
        pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *_scored()]
        kind = tf.MBartTokenizer if family == "mbart" else tf.MBart50Tokenizer
        return kind(vocab=pieces, src_lang="en_XX", tgt_lang="ro_RO")
    if family == "nllb":
        letters = [piece for piece, _ in _scored() if len(piece) == 1]
        merges: Any = dict.fromkeys(
            (f"▁{word[:end]}", word[end])
            for word in ("mary", "lives", "in", "paris", "not")
            for end in range(len(word))
        )
        pieces = ["<s>", "<pad>", "</s>", "<unk>", *letters, *map("".join, merges)]
        numbered = {piece: n for n, piece in enumerate(dict.fromkeys(pieces))}
        return tf.NllbTokenizer(
            vocab=numbered, merges=list(merges), src_lang="eng_Latn", tgt_lang="fra_Latn"
        )
    spm = _sentencepiece(folder)
    names = ["<s>", "<pad>", "</s>", "<unk>", *_pieces_of(spm)]
    numbered = {piece: n for n, piece in enumerate(dict.fromkeys(names))}
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps(numbered), encoding="utf-8")
    if family == "m2m_100":
        return tf.M2M100Tokenizer(
            vocab_file=str(vocabulary),
            spm_file=str(spm),
            src_lang="en",
            tgt_lang="fr",
            # As its checkpoints have them.
            additional_special_tokens=["__en__", "__fr__"],
        )
    return tf.MarianTokenizer(source_spm=str(spm), target_spm=str(spm), vocab=str(vocabulary))


def _scored() -> list[tuple[str, float]]:
    letters = sorted({letter for text in TEXTS[:3] for letter in text.replace(" ", "▁")})
    words = sorted({f"▁{word}" for text in TEXTS[:3] for word in text.split()})
    return [(one, -9.0) for one in letters] + [(one, -3.0) for one in words]


def _sentencepiece(folder: Path) -> Path:
    import sentencepiece

    path = folder / "pieces"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4),
        model_prefix=str(path),
        vocab_size=80,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return path.with_suffix(".model")


def _pieces_of(path: Path) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [processor.id_to_piece(n) for n in range(processor.get_piece_size())]
