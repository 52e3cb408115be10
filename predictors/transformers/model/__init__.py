"""The Hugging Face model as an AllenNLP model: run on token ids, its own outputs read."""
