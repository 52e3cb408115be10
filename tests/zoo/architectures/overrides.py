"""What single architectures need besides the sizes that go by fields' names."""

from __future__ import annotations

from typing import Any

from .sizes import HEAD, HEADS, INNER, WIDTH

_ALL_HEADS: dict[str, Any] = {"num_key_value_heads": HEADS}
_DOTS3: dict[str, Any] = {
    **_ALL_HEADS,
    "head_dim": 2 * HEAD,
    "swa_q_lora_rank": 16,
    "swa_kv_lora_rank": 16,
    "swa_head_dim": 2 * HEAD,
    "swa_qk_nope_head_dim": HEAD,
    "swa_v_head_dim": HEAD,
}
_GEMMA3N: dict[str, Any] = {"num_kv_shared_layers": 0, "intermediate_size": [INNER] * 2}
_GEMMA4_DRAFT: dict[str, Any] = {
    "hidden_size_per_layer_input": 0,
    "vocab_size_per_layer_input": 0,
    "enable_moe_block": False,
    "use_double_wide_mlp": False,
    "num_hidden_layers": 2,
    "num_kv_shared_layers": 2,
}
_QWEN4: dict[str, Any] = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": HEAD,
    "indexer_budget": 16,
    "indexer_compress_ratio": 4,
}

#: By architecture, given to its config (`sub_config: {…}` to one inside).
OVERRIDES: dict[str, dict[str, Any]] = {
    # Its generation asks for the depth of the whole, which the default lacks.
    "blt": {"num_hidden_layers": 2},
    "bamba": {"attn_layer_indices": [1]},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0}},
    "dots3_note": {"text_config": _DOTS3, "audio_config": {"adapter_input_size": WIDTH}},
    "dots3_note_text": _DOTS3,
    "dots1": {"n_shared_experts": 1},
    "cohere_compass_text": {
        "rope_parameters": {
            name: {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
            for name in ("full_attention", "sliding_attention")
        }
    },
    "esm": {"mask_token_id": 4, "position_embedding_type": "rotary"},
    "esmc": _ALL_HEADS,
    "gemma3n_text": _GEMMA3N,
    "gemma4_assistant": {"text_config": _GEMMA4_DRAFT},
    "gemma4_unified_assistant": {"text_config": _GEMMA4_DRAFT},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"]},
    # Its depth is worked out from the layers of a stack and the cycles.
    "hrm_text": {"num_layers_per_stack": None, "num_hidden_layers": 1, "L_cycles": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    # Four coordinates and two sizes make up the width.
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4, "max_2d_position_embeddings": 64},
    "led": {"attention_window": 8},
    "longformer": {"attention_window": 8},
    # Six coordinates share the width.
    "lilt": {"hidden_size": 48, "max_2d_position_embeddings": 64},
    "markuplm": {"max_depth": 4, "max_xpath_subs_unit_embeddings": 64, "subs_pad_id": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "neomme": {"head_dim": 16},
    "qwen4_exp": {"text_config": _QWEN4},
    "qwen4_exp_text": _QWEN4,
    # The hashes are drawn anew each time unless there is a seed.
    "reformer": {
        "axial_pos_embds_dim": (8, 24),
        "axial_pos_shape": (8, 16),
        "local_attn_chunk_length": 8,
        "lsh_attn_chunk_length": 8,
        "hash_seed": 0,
        "is_decoder": False,
    },
    "reformer:causal-lm": {"is_decoder": True},
    "squeezebert": {"embedding_size": WIDTH},
    "xlstm": {"hidden_size": 128, "embedding_dim": 128},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "attention_hidden_size": 2 * WIDTH,
        "attention_head_dim": 2 * HEAD,
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
    },
    "zaya": {"num_experts_per_tok": 1},
}

#: The token that a decoder starts from, where it is not what the default config says.
START: dict[str, str] = {
    "t5gemma": "<s>",
    "t5gemma2": "<s>",
    "mbart": "ro_RO",
    "plbart": "ro_RO",
}

_SOUND = "reads sound: its task is to write down or answer what is heard"
_BOXES = "needs the place of every word on a page (bounding boxes)"

#: By architecture or architecture:task, why its models cannot be built or run on text alone.
NO_TEXT_ALONE: dict[str, str] = {
    "audioflamingo3": _SOUND,
    "bros": _BOXES,
    "gemma4_assistant": "drafts tokens from the states of another model, and reads no text itself",
    "gemma4_unified_assistant": "drafts tokens from the states of another model, and reads no text "
    "itself",
    "glmasr": _SOUND,
    "granite_speech": _SOUND,
    "granite_speech_plus": _SOUND,
    "layoutlmv2": "reads images with detectron2, which is not installed",
    "lxmert": "answers questions about images, given as detected objects",
    "moss_transcribe_diarize": _SOUND,
    "mra": "its attention is a CUDA kernel of the package kernels; without it transformers returns "
    "zeros in its place, so texts do not count",
    "musicflamingo": _SOUND,
    "musicgen": "writes codes of music",
    "musicgen_melody": "writes codes of music",
    "nemo_speechlm": _SOUND,
    "qwen2_audio": _SOUND,
    "qwen3_asr": _SOUND,
    "vibevoice_asr": _SOUND,
    "voxtral": _SOUND,
    "voxtral_realtime": _SOUND,
    "tapas": "reads a table beside its question, each token with its row and column",
    "qdqbert": "needs the package pytorch-quantization",
    "gemma3n": "needs the package timm for its images",
}
