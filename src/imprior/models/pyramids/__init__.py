"""PixelPyramids: exact inference from lossless image pyramids (Mahajan & Roth, ICCV 2021)."""
