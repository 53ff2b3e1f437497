"""`rvsense doctor`: what this machine can do, what is there, what to run next.

A check looks at one thing and yields findings; `findings.gather` runs them so that one that fails
is a line of the report and costs the others nothing. Nothing is changed and nothing is fetched.
"""
