"""Methods that train a model on which of two answers is better."""
