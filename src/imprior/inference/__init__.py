"""Algorithms that need an ability, not a particular model."""
