"""Invertible maps between images and what models see."""
