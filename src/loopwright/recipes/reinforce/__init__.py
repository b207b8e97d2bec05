"""Methods that push a model towards what was rewarded."""
