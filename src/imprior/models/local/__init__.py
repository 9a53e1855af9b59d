"""Multi-scale local conditional denoisers (Kadkhodaie, Guth, Mallat & Simoncelli, ICLR 2023)."""
