"""Mutations of the lock-free code, generated from its sources; tests must catch each of them."""
