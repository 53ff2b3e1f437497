"""Faults on the real thing: `python -m tests.chaos SCENARIO`.

What runs are real processes, real sockets and real disks; `tests/simulate` has them pretended.

    report              figures, each with the bound that it must keep, as a table or as JSON
    scenarios/*         one way of hurting a running daemon each: NAME, HELP, add_options, run
    stage, served       a daemon to be hurt, and what must hold of its serving meanwhile

The other modules are of the scenarios that use them.
A scenario draws from `--seed` whatever it draws; the kernel still decides what happens when.
"""
