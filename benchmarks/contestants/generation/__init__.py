"""Who explains text that a language model writes."""
