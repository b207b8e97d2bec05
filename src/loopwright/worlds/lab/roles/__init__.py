"""Roles that the lab model was taught with a small adapter each: what is said to it, what it should say, and how that is checked.

``embedded:lab+formaliser`` is the lab model with the adapter in ``adapters/formaliser``. ``scripts/lab_roles.py`` teaches it.
"""
