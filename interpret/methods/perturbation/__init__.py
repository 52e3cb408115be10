"""Methods that need values alone: the target with some units of the input removed. They know games
(which units stay, what the target is then), and no models, hooks or tensors of embeddings."""
