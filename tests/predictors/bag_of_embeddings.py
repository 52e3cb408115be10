"""The config of a classifier that averages embeddings."""

from typing import Any

BAG_OF_EMBEDDINGS: dict[str, Any] = {
    "dataset_reader": {
        "type": "text_classification_json",
        "tokenizer": {"type": "whitespace"},
    },
    "model": {
        "type": "basic_classifier",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 4}}
        },
        "seq2vec_encoder": {
            "type": "bag_of_embeddings",
            "embedding_dim": 4,
            "averaged": True,
        },
    },
}
