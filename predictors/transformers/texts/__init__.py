"""What a tokenizer makes of the texts of an input, and what is done where they are too long."""
