"""One file a task: the predictor and the model of its head."""
