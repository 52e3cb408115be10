"""`python -m allennlp_saliency.commands.render`."""

from .command import main

main()
