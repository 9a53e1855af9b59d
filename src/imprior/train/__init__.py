"""Training: from a preset and images to a model folder."""
