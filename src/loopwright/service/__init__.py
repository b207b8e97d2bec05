"""Learners inside a service of one's own: in one process, or in several that share a store."""
