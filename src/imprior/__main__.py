"""`python -m imprior` is `imprior`."""

import sys

from imprior.cli import main

sys.exit(main())
