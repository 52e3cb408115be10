"""What is explained of models that write a text, token by token."""
