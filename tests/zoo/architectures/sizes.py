"""Small configs, made by what fields are called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

WIDTH = 32
HEADS = 4
HEAD = 8
INNER = 64
POSITIONS = 128


def _each(value: Any, names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), value)


#: What a field is set to, by its name.
SIZES: dict[str, Any] = {
    # The width of the sequence's vectors.
    **_each(
        WIDTH,
        "hidden_size d_model n_embd dim emb_dim embed_dim embedding_dim word_embed_proj_dim "
        "decoder_hidden_size pooler_hidden_size attention_hidden_size lru_width d_latents "
        "output_embedding_size hidden_size_global prediction_head_size out_hidden_size "
        "backbone_hidden_size adapter_in_dim adapter_out_dim",
    ),
    # Narrower: word vectors that are projected, low ranks.
    **_each(
        16,
        "embedding_size input_embedding_size kv_lora_rank q_lora_rank o_lora_rank laurel_rank "
        "hidden_size_per_layer_input router_hidden_size gated_norm_rank hc_lowrank adapter_rank "
        "time_step_rank mamba_dt_rank embedding_rank dim_bbox_projection entity_emb_size "
        "xpath_unit_hidden_size pronunciation_embed_dim shape_embed_dim ple_embed_dim d_rel",
    ),
    # What a feed-forward layer has inside.
    **_each(
        INNER,
        "intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_inner d_ff dff dim_ff n_inner "
        "hidden_dim ffn_hidden_size moe_intermediate_size shared_expert_intermediate_size "
        "shared_experts_intermediate_size moe_shared_expert_intermediate_size feed_forward_size "
        "intermediate_size_mlp expert_ffn_hidden_size dense_intermediate_size mamba_d_ssm mlp_dim "
        "shared_intermediate_size",
    ),
    # Layers. Where kinds of layers are listed there is one of each kind; see `_kinds`.
    **_each(
        2,
        "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers "
        "num_decoder_layers num_encoder_layers num_blocks depth l_layers x_layers r_layers "
        "speech_encoder_layers t2u_encoder_layers t2u_decoder_layers num_self_attends_per_block "
        "num_layers_per_stack num_global_layers num_adapter_layers",
    ),
    **_each(
        HEADS,
        "num_attention_heads n_head n_heads num_heads encoder_attention_heads "
        "decoder_attention_heads attention_heads num_encoder_attention_heads "
        "num_decoder_attention_heads index_n_heads linear_num_heads "
        "linear_num_value_heads num_self_attention_heads num_cross_attention_heads "
        "speech_encoder_attention_heads t2u_encoder_attention_heads t2u_decoder_attention_heads",
    ),
    **_each(
        2,
        "num_key_value_heads num_kv_heads kv_n_heads linear_num_key_heads "
        "num_query_groups o_groups num_global_key_value_heads",
    ),
    **_each(
        HEAD,
        "head_dim d_kv d_head dim_head qk_nope_head_dim qk_rope_head_dim v_head_dim "
        "kv_channels attention_head_size linear_head_dim linear_key_head_dim linear_value_head_dim "
        "global_head_dim index_head_dim rotary_dim",
    ),
    "qk_head_dim": 2 * HEAD,
    "query_pre_attn_scalar": HEAD,
    # Experts.
    **_each(
        4,
        "num_experts n_routed_experts num_local_experts moe_num_experts expert_capacity "
        "zero_expert_num",
    ),
    **_each(
        2,
        "num_experts_per_tok num_experts_per_token moe_k moe_topk moe_top_k top_k_experts "
        "n_activated_experts",
    ),
    **_each(
        1,
        "n_shared_experts num_shared_experts moe_num_shared_experts n_group topk_group "
        "num_expert_group first_k_dense_replace num_dense_layers encoder_sparse_step "
        "decoder_sparse_step num_sparse_encoder_layers num_sparse_decoder_layers "
        "moe_layer_start_index",
    ),
    # State spaces.
    **_each(8, "mamba_d_state state_size ssm_state_size"),
    "mamba_n_heads": 8,
    "mamba_num_heads": 8,
    "mamba_d_head": 8,
    "mamba_head_dim": 8,
    "mamba_headdim": 8,
    **_each(1, "mamba_n_groups n_groups mamba_ngroups"),
    **_each(16, "mamba_chunk_size chunk_size max_inference_chunksize"),
    # Positions and windows.
    **_each(
        POSITIONS,
        "max_position_embeddings n_positions n_ctx max_seq_len max_sequence_length context_length "
        "max_encoder_position_embeddings max_decoder_position_embeddings max_target_positions "
        "max_source_positions model_max_length original_max_position_embeddings rel_extent "
        "t2u_max_position_embeddings",
    ),
    **_each(
        16,
        "sliding_window sliding_window_size local_attention window_size attention_window_size "
        "attention_chunk_size keep_window_size index_topk local_radius",
    ),
    **_each(
        4, "block_size global_block_size num_landmarks num_global_tokens segment_means_seq_len"
    ),
    **_each(512, "encoder_hash_byte_group_vocab num_hash_buckets entity_vocab_size"),
    "num_nextn_predict_layers": 0,
    **_each(0.0, "layerdrop encoder_layerdrop decoder_layerdrop"),
    "num_latents": 8,
    "n_langs": 1,
}

#: Fields that list a kind for every layer.
KINDS = (
    "layer_types",
    "mlp_layer_types",
    "layers_block_type",
    "block_types",
    "indexer_types",
    "attn_layers",
)
#: Set even where the default is None: some models do not work it out themselves.
_NEEDED = ("head_dim", "n_routed_experts", "num_experts_per_tok")
_DEPTH = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


def small(config_class: Any, vocabulary: int, special: Mapping[str, int], given: Mapping) -> Any:
    """A small config of a class.

    Args:
        config_class: The class.
        vocabulary: How many tokens there are.
        special: The ids of the tokenizer's special tokens, `pad_token_id` and so on.
        given: What is known to be needed: `overrides.OVERRIDES`, the labels. A mapping in the
            place of a config is what is given to that config.
    """
    default = _default(config_class, given)
    known = vars(default)
    stored = getattr(config_class, "attribute_map", None) or {}
    fields = {name: known.get(stored.get(name, name)) for name in _fields(config_class)}
    values = {
        name: SIZES[name.removeprefix("swa_")]
        for name, value in fields.items()
        if name.removeprefix("swa_") in SIZES and (value is not None or name in _NEEDED)
    }
    if "kv_lora_rank" in fields and fields.get("num_key_value_heads") is not None:
        # Each head has keys and values of its own, made from what they share.
        values["num_key_value_heads"] = HEADS
    values |= _ids(fields, vocabulary, special)
    values |= _kinds(fields)
    inner = getattr(config_class, "sub_configs", None) or {}
    for name in inner:
        own = given.get(name)
        if own is None and name in given:
            continue
        if fields.get(name) is not None:
            values[name] = small(type(fields[name]), vocabulary, special, own or {})
    values |= {name: one for name, one in given.items() if name not in inner or one is None}
    try:
        return config_class(**values)
    except TypeError:
        # transformers 4 takes configs inside of others as mappings only.
        plain = {name: values[name].to_dict() for name in inner if values.get(name) is not None}
        return config_class(**{**values, **plain})


def _default(config_class: Any, given: Mapping[str, Any]) -> Any:
    try:
        return config_class()
    except Exception:
        # Some cannot be made of nothing.
        return config_class(**{k: v for k, v in given.items() if not isinstance(v, Mapping)})


def _fields(config_class: Any) -> list[str]:
    names: dict[str, None] = {}
    for owner in config_class.__mro__:
        if owner.__name__ in ("PreTrainedConfig", "PretrainedConfig"):
            break
        names |= dict.fromkeys(inspect.signature(owner.__init__).parameters)
        names |= dict.fromkeys(getattr(owner, "__dataclass_fields__", {}))
    if "vocab_size" in names or getattr(config_class, "sub_configs", None):
        names |= dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))
    return [name for name in names if name not in ("self", "kwargs", "args")]


def _ids(fields: Mapping[str, Any], vocabulary: int, special: Mapping[str, int]) -> dict[str, Any]:
    """Sizes of vocabularies, and the ids of special tokens: those of the text are the
    tokenizer's, those of images and the like stand last in the vocabulary."""
    values: dict[str, Any] = {}
    names = {
        value: name
        for name in ("bos_token_id", "pad_token_id", "eos_token_id")
        if isinstance(value := fields.get(name), int)
    }
    free = vocabulary
    for name, value in fields.items():
        if name.endswith("vocab_size") or name == "vocab_size_per_layer_input":
            if name == "vocab_size" or (isinstance(value, int) and value > 40):
                values[name] = vocabulary
        elif name in ("forced_bos_token_id", "forced_eos_token_id", "decoder_start_token_id"):
            if value in names:
                values[name] = special.get(names[value], special.get("eos_token_id"))
        elif name.endswith("_token_id") and (name in special or name[:3] in ("pad", "bos", "eos")):
            values[name] = special.get(name)
        elif name.endswith(("_token_id", "_token_index")) and isinstance(value, int):
            free -= 1
            values[name] = free
    return values


def _kinds(fields: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of each kind, two at least."""
    lists = {name: list(dict.fromkeys(fields[name])) for name in KINDS if fields.get(name)}
    if not lists:
        return {}
    depth = max(2, *(len(kinds) for kinds in lists.values()))
    values: dict[str, Any] = {
        name: [kinds[min(number, len(kinds) - 1)] for number in range(depth)]
        for name, kinds in lists.items()
    }
    values |= {name: depth for name in _DEPTH if isinstance(fields.get(name), int)}
    return values
