"""Methods that remember: what was learned is kept beside the model, and brought where it applies."""
