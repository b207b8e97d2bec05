"""Coding tasks for agents that are programs, and such an agent to begin with."""
