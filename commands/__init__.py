"""Subcommands of `allennlp`, and the console script `allennlp-saliency`."""
