"""BART of allennlp-models: the decoder's cache, and an encoder in the place of BART's own."""

from __future__ import annotations

from typing import Any

from ..registry import after

_BART = "allennlp_models.generation.models.bart"


@after(_BART, why="transformers keeps the keys and values of a decoder in a cache, not in tuples")
def bart_cache(module: Any) -> bool:
    """Take the four tensors of each layer out of the cache for the search, and put them back."""
    from transformers import DynamicCache, EncoderDecoderCache

    bart = module.Bart
    original_to_dict = bart._decoder_cache_to_dict
    original_from_dict = bart._dict_to_decoder_cache

    def _decoder_cache_to_dict(decoder_cache: Any) -> dict[str, Any]:
        if not isinstance(decoder_cache, EncoderDecoderCache):
            return original_to_dict(decoder_cache)
        caches: tuple[Any, Any] = (
            decoder_cache.self_attention_cache,
            decoder_cache.cross_attention_cache,
        )
        layers = zip(*(cache.layers for cache in caches), strict=True)
        return original_to_dict(
            tuple((own.keys, own.values, cross.keys, cross.values) for own, cross in layers)
        )

    def _dict_to_decoder_cache(self: Any, cache_dict: dict[str, Any]) -> Any:
        caches = DynamicCache(), DynamicCache()
        for index, layer in enumerate(original_from_dict(self, cache_dict)):
            caches[0].update(layer[0], layer[1], index)
            caches[1].update(layer[2], layer[3], index)
        return EncoderDecoderCache(*caches)

    bart._decoder_cache_to_dict = staticmethod(_decoder_cache_to_dict)
    bart._dict_to_decoder_cache = _dict_to_decoder_cache
    return True
