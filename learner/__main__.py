"""`python -m rvsense.learner`: see main."""

import sys

from rvsense.learner.main import main

sys.exit(main())
