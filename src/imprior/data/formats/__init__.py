"""One module a file format; `imprior.data.images` is the way in."""
