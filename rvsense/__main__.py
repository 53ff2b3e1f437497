"""`python -m rvsense`."""

import sys

from rvsense.cli import main

sys.exit(main())
