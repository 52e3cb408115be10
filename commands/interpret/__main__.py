"""`python -m allennlp_saliency.commands.interpret`."""

from .command import main

main()
