"""Methods that keep many solutions and make new ones of them."""
