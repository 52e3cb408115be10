"""What an instance holds: texts, tokens, words, tags and labels. No model is known here."""
