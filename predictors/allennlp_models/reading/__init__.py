"""What is explained of models that answer questions about a text."""
