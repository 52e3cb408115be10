"""The console script `allennlp-saliency`."""


def main() -> int:
    """Run the console script."""
    return 0
