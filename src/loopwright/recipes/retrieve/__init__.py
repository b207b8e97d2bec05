"""Methods that look something up."""
