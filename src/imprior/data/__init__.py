"""From image files to integer tensors, and back."""
