"""Methods that rank items or documents for a user, and learn from what was taken or clicked."""
