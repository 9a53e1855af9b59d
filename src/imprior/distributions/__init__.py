"""Formulas of distributions, without networks: densities, binned masses, integer frequencies."""
