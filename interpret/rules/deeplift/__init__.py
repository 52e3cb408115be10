"""DeepLIFT's rules, one file a kind of operation."""
