"""Interpreters: saliency maps for any AllenNLP predictor."""
