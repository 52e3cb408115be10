"""Who takes part: one module each, with a function `prepare(case, predictor) -> Job`; here those
that explain a classifier by its gradients, and the command line."""
