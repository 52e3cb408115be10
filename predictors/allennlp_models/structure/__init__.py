"""What is explained of models that find roles, trees, entities and references in a text."""
