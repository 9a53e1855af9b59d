"""Pieces of networks that more than one family of models needs."""
