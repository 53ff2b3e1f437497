"""What is fuzzed, a module each; `tests.fuzz.__main__` finds them by looking into this folder.

A module has NAME, HELP, MESSAGES (how many in full), QUICK (how many in CI) and `run(options)`,
which returns a `tests.chaos.report.Report`. `options` has `messages`, `seed`, `only` (the number of
the one input to try, or None) and `work`, an empty folder.
"""
