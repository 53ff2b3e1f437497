"""`rvsense completion`: commands and options for the Tab key of a shell."""

import argparse

SHELLS = ("bash", "zsh", "fish")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        'bash: eval "$(rvsense completion bash)" in ~/.bashrc; '
        "zsh: rvsense completion zsh > a folder of $fpath, as _rvsense; "
        "fish: rvsense completion fish > ~/.config/fish/completions/rvsense.fish"
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell to print a script for")


def run(options: argparse.Namespace) -> int:
    from rvsense.terminal.completion import script

    print(script(options.shell), end="")
    return 0
