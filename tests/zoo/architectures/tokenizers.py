"""Tokenizers like the architectures' own: how they split texts, and what they put around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fixtures.tokenizer import train_wordpieces
from tests.zoo.task_models import TEXTS, _merges, _numbered

#: Tokens that no text has: the ids of images, sounds and the like are theirs.
RESERVED = 24

_BERT = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_PLAIN = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
_ROBERTA = {**_PLAIN, "cls": "<s>", "sep": "</s>"}
_SENTENCEPIECE_BERT = {**_PLAIN, "cls": "[CLS]", "sep": "[SEP]"}
_END_OF_TEXT = dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>")
_TURNS = {"eos": "<|im_end|>", "pad": "<|endoftext|>", "unk": "<|endoftext|>"}
_ENDED = {"bos": "</s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}


@dataclass(frozen=True)
class Kind:
    """A kind of tokenizer.

    Attributes:
        split: "wordpiece" as BERT's, "bytes" as GPT-2's, "pieces" as SentencePiece does.
        names: The special tokens by their part: "pad", "bos", …
        single: What stands around a text, `""` for nothing.
        pair: The same for two texts.
        types: Whether it makes token types.
        masks: Whether it makes an attention mask.
        left: Whether it pads before the text.
        languages: Language codes. The first takes the place of `{code}` in the templates for
            texts that are read, the second for those that are to be written.
        real: A class of transformers that needs no files, to be used in its place.
    """

    split: Literal["wordpiece", "bytes", "pieces"] = "pieces"
    names: tuple[tuple[str, str], ...] = ()
    single: str = ""
    pair: str = ""
    types: bool = False
    masks: bool = True
    left: bool = False
    languages: tuple[str, ...] = ()
    real: str | None = None


def _kind(split: str, names: dict[str, str], single: str, pair: str, **more: Any) -> Kind:
    return Kind(split, tuple(names.items()), single, pair, **more)  # type: ignore[arg-type]


_CLS = ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
_ROBERTAS = ("<s> $A </s>", "<s> $A </s> </s> $B </s>")
_START = ("<s> $A", "<s>:0 $A:0 <s>:1 $B:1")
_END = ("$A </s>", "$A </s> $B </s>")

KINDS: dict[str, Kind] = {
    "bert": _kind("wordpiece", _BERT, *_CLS, types=True),
    "wordpiece": _kind("wordpiece", _BERT, *_CLS),
    "bert-bytes": _kind("bytes", _BERT, *_CLS),
    "deberta": _kind("bytes", _BERT, *_CLS, types=True),
    "deberta-pieces": _kind("pieces", _SENTENCEPIECE_BERT, *_CLS, types=True),
    "bert-pieces": _kind("pieces", _SENTENCEPIECE_BERT, *_CLS),
    "no-mask": _kind("pieces", _SENTENCEPIECE_BERT, *_CLS, types=True, masks=False),
    "roberta": _kind("bytes", _ROBERTA, *_ROBERTAS),
    "roberta-pieces": _kind("pieces", _ROBERTA, *_ROBERTAS),
    "mpnet": _kind("wordpiece", _ROBERTA, *_ROBERTAS),
    "xlm": _kind("wordpiece", _ROBERTA, "<s> $A </s>", "<s> $A </s> $B </s>"),
    "splinter": _kind(
        "wordpiece",
        _BERT,
        _CLS[0],
        "[CLS]:0 $A:0 [QUESTION]:0 .:0 [SEP]:0 $B:1 [SEP]:1",
    ),
    "xlnet": _kind(
        "pieces",
        {**_PLAIN, "cls": "<cls>", "sep": "<sep>"},
        "$A:0 <sep>:0 <cls>:2",
        "$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        types=True,
        left=True,
    ),
    "funnel": _kind(
        "wordpiece",
        {**_PLAIN, "cls": "<cls>", "sep": "<sep>"},
        "<cls>:2 $A:0 <sep>:0",
        "<cls>:2 $A:0 <sep>:0 $B:1 <sep>:1",
    ),
    "gpt2": _kind("bytes", _END_OF_TEXT, "", ""),
    "qwen": _kind("bytes", _TURNS, "", ""),
    "llama": _kind("pieces", _PLAIN, *_START, left=True),
    "gemma": _kind("pieces", _PLAIN, *_START, left=True),
    "started-bytes": _kind("bytes", _PLAIN, *_START),
    "opt": _kind("bytes", _ENDED, "</s> $A", "</s> $A </s> $B"),
    "xglm": _kind("pieces", _ROBERTA, "</s> $A", "</s> $A </s> </s> $B"),
    "bare-pieces": _kind("pieces", _PLAIN, "", ""),
    "glm": _kind("bytes", _TURNS, "[gMASK] <sop> $A", "[gMASK] <sop> $A $B"),
    "t5": _kind("pieces", {k: v for k, v in _PLAIN.items() if k != "bos"}, *_END),
    "ended-bytes": _kind("bytes", _PLAIN, *_END),
    "prophetnet": _kind("wordpiece", _BERT, "$A [SEP]", "$A [SEP] $B [SEP]"),
    "mbart": _kind(
        "pieces",
        _ROBERTA,
        "$A </s> {code}",
        "$A $B </s> {code}",
        languages=("en_XX", "ro_RO"),
    ),
    "nllb": _kind(
        "pieces",
        _ROBERTA,
        "{code} $A </s>",
        "{code} $A $B </s>",
        languages=("eng_Latn", "fra_Latn"),
    ),
    "esm": _kind(
        "wordpiece",
        {"pad": "<pad>", "unk": "<unk>", "cls": "<cls>", "eos": "<eos>", "mask": "<mask>"},
        "<cls> $A <eos>",
        "<cls> $A <eos> $B <eos>",
    ),
    "canine": Kind(real="CanineTokenizer"),
    "perceiver": Kind(real="PerceiverTokenizer"),
}

_BY_KIND = {
    "bert": "bert bros convbert electra ernie layoutlm layoutlmv2 lxmert megatron-bert "
    "mobilebert nomic_bert squeezebert tapas",
    "wordpiece": "distilbert git roc_bert roformer ultrabert",
    "bert-bytes": "modernbert modernvbert neomme ultravbert",
    "deberta": "deberta",
    "deberta-pieces": "deberta-v2",
    "bert-pieces": "albert big_bird nystromformer rembert yoso",
    "no-mask": "fnet",
    "roberta": "bart data2vec-text ibert layoutlmv3 led lilt longformer luke markuplm mra mvp "
    "roberta roberta-prelayernorm",
    "roberta-pieces": "camembert gte jina_embeddings_v3 trocr xlm-roberta xlm-roberta-xl xmod",
    "mpnet": "mpnet",
    "xlm": "flaubert xlm",
    "splinter": "splinter",
    "xlnet": "xlnet",
    "funnel": "funnel",
    "gpt2": "codegen dbrx gpt-sw3 gpt2 gpt_bigcode gpt_neo gptj jais2 openai-gpt phi starcoder2 "
    "ctrl",
    "qwen": "afmoe dots1 dots3_note dots3_note_text falcon falcon_mamba flex_olmo flint got_ocr2 "
    "gpt_neox gpt_neox_japanese mamba mamba2 mpt olmo olmo2 olmo3 olmo_hybrid olmoe qwen2 "
    "qwen2_moe qwen3 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next "
    "qwen4_exp qwen4_exp_text rwkv xlstm bloom phi3 stablelm granite smollm3 exaone4 moshi",
    "gemma": "gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text gemma4 gemma4_text "
    "gemma4_unified gemma4_unified_text recurrent_gemma t5gemma t5gemma2 vaultgemma zaya",
    "started-bytes": "bert-generation cohere cohere2 cohere2_moe cpmant cohere_compass_text "
    "eurobert deepseek_v2 deepseek_v3 gpt_oss whisper",
    "opt": "biogpt opt",
    "xglm": "xglm",
    "bare-pieces": "reformer",
    "glm": "glm glm4 glm4_moe glm4_moe_lite glm_moe_dsa",
    "t5": "bigbird_pegasus fsmt longt5 marian mt5 pegasus pegasus_x switch_transformers t5 umt5",
    "ended-bytes": "blenderbot blenderbot-small",
    "prophetnet": "prophetnet",
    "mbart": "mbart plbart",
    "nllb": "m2m_100 nllb-moe seamless_m4t seamless_m4t_v2",
    "esm": "esm esmc",
    "canine": "canine",
    "perceiver": "perceiver",
}
_KIND_OF = {name: kind for kind, names in _BY_KIND.items() for name in names.split()}


def tokenizer_of(architecture: str) -> Any:
    """A tokenizer like an architecture's own; unless known otherwise, it is like Llama's."""
    return tokenizer(_KIND_OF.get(architecture, "llama"))


@cache
def tokenizer(name: str) -> Any:
    """A tokenizer of a kind, trained on a few texts."""
    import transformers

    kind = KINDS[name]
    if kind.real is not None:
        return getattr(transformers, kind.real)()
    names = dict(kind.names)
    made = _trained(kind)
    inputs = ["input_ids"]
    inputs += ["token_type_ids"] if kind.types else []
    inputs += ["attention_mask"] if kind.masks else []
    owner = _coded_class() if kind.languages else transformers.PreTrainedTokenizerFast
    result = owner(
        tokenizer_object=made,
        model_input_names=inputs,
        padding_side="left" if kind.left else "right",
        **{f"{part}_token": token for part, token in names.items()},
    )
    if kind.languages:
        result.use_codes(kind)
    return result


@cache
def _coded_class() -> type:
    from transformers import PreTrainedTokenizerFast

    class CodedTokenizer(PreTrainedTokenizerFast):
        """Puts another language code to what is written than to what is read."""

        def use_codes(self, kind: Kind) -> None:
            self._templates = kind
            self._switch_to_input_mode()

        def _switch_to_input_mode(self) -> None:
            self._use(self._templates.languages[0])

        def _switch_to_target_mode(self) -> None:
            self._use(self._templates.languages[1])

        def _use(self, code: str) -> None:
            _surround(self.backend_tokenizer, self._templates, code)

    return CodedTokenizer


def _trained(kind: Kind) -> Any:
    """The same texts give the same tokenizer every time."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    special = list(dict.fromkeys([*dict(kind.names).values(), *_others(kind)]))
    reserved = [f"<extra_{number}>" for number in range(RESERVED)]
    if kind.split == "wordpiece":
        learned = train_wordpieces(TEXTS, 160, lowercase=True)
        pieces = [*special, *(one for one in learned if one not in special), *reserved]
        unknown = dict(kind.names)["unk"]
        made = Tokenizer(models.WordPiece(_numbered(pieces), unk_token=unknown))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
    elif kind.split == "bytes":
        split = pre_tokenizers.ByteLevel(add_prefix_space=False)
        merges = _merges(split, 100)
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        pieces = [*special, *letters, *map("".join, merges), *reserved]
        made = Tokenizer(models.BPE(_numbered(pieces), merges))
        made.pre_tokenizer = split
        made.decoder = decoders.ByteLevel()
    else:
        split = pre_tokenizers.Metaspace()
        merged = dict.fromkeys(map("".join, _merges(split, 60)))
        letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")})
        scored = [(piece, 0.0) for piece in special] + [(letter, -9.0) for letter in letters]
        scored += [(piece, -6.0 - 0.01 * rank) for rank, piece in enumerate(merged)]
        scored += [(piece, -99.0) for piece in reserved]
        made = Tokenizer(models.Unigram(scored, unk_id=special.index("<unk>"), byte_fallback=False))
        made.pre_tokenizer = split
        made.decoder = decoders.Metaspace()
    made.add_special_tokens(special)
    _surround(made, kind, kind.languages[0] if kind.languages else "")
    return made


def _others(kind: Kind) -> Sequence[str]:
    """Special tokens of the templates that have no part of their own."""
    words = f"{kind.single} {kind.pair}".split()
    tokens = (word.partition(":")[0] for word in words if word[0] not in "${")
    return [*tokens, *kind.languages]


def _surround(tokenizer: Any, kind: Kind, code: str) -> None:
    from tokenizers import processors

    if not kind.single:
        return
    single, pair = (one.replace("{code}", code) for one in (kind.single, kind.pair))
    used = {word.partition(":")[0] for word in f"{single} {pair}".split() if word[0] != "$"}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in sorted(used)],
    )
