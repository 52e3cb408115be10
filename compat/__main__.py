"""`python -m allennlp_saliency.compat`: the console script, where it is not on the path."""

import sys

from .console import main

sys.exit(main())
