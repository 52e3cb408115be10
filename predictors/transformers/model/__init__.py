"""The Hugging Face model as AllenNLP's: run on ids by its own forward, its own outputs read."""
