"""Figures of particular methods, as functions of what was measured; each returns the bytes of a PNG file."""
