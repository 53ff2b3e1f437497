"""The published models of a state directory, for whoever looks after them.

`listing` says what is there, `orders` goes back to one and lets newer ones in again, `export`
writes one as a file that needs no rvsense.
"""
