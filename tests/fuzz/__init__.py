"""Input that nobody meant: `python -m tests.fuzz TARGET [--messages N] [--seed S] [--only I]`.

    golden      messages and files of this version, which are damaged
    mutate      damage: bytes flipped, lost, doubled, spliced
    grammar     values and messages that msgpack can say, and rvsense never would
    drive       so many inputs into one function; what it may answer is told, all else is a failure
    targets/*   what is fuzzed: NAME, HELP, MESSAGES, QUICK and run(options) of each

Input number I of seed S is the same on every run: `--only I` makes and tries it alone. What fails
is printed with both, and lies as hexadecimal in a file.
"""
