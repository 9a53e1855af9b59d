"""From probabilities to bytes and back: a range coder on integer frequencies and a file format."""

from imprior.codec.images import compress, decompress

__all__ = ["compress", "decompress"]
