"""The models that the papers compare with, one file each."""
