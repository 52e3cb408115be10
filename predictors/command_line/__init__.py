"""`allennlp predict` for a predictor that runs the command itself.

AllenNLP's own command empties an input that is also its output, shows no progress, ends with status
0 when every input failed, and with a traceback when it is interrupted. A predictor with a class
method `run_predict_command` gets the parsed arguments instead (see
`allennlp_saliency.compat.libraries.predict_command`), and hands them to `run`.
"""

from .command import INTERRUPTED, TERMINATED, Terminated, run, terminating

__all__ = ["INTERRUPTED", "TERMINATED", "Terminated", "run", "terminating"]
