"""DeepLIFT's rules, and the two passes that they need."""
