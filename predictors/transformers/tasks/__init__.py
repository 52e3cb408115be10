"""One file per task: its reader, its model and its predictor."""
