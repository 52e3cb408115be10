"""Predictors that interpret, and Hugging Face models as AllenNLP predictors."""
