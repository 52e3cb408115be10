"""What is explained of each input: its prediction, alone or among others, and labels of it."""
