"""The commands, one module each: `add_options(parser)` and `run(options) -> exit status`.

A module here imports next to nothing at its top; what the command needs is imported by `run`.
`rvsense.cli.COMMANDS` lists them.
"""
