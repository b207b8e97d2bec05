"""Methods that act in an environment and learn from what a person or the environment says of their actions."""
