"""Backward passes of another kind: every operation of the model by a rule of its own.

A `TorchFunctionMode` sees each functional call of a forward pass, whether a module makes it or the
model's code. Operations that are linear in what depends on the embeddings keep their gradient;
others get the multipliers of a rule, or are taken apart into operations that have one.
"""
