"""Methods that hand the prediction back through the model by rules."""
