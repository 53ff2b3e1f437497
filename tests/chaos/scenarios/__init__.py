"""Each module here is a scenario; nothing lists them.

NAME                    on the command line
HELP                    one line
add_options(parser)     its own; all get --seed, --quick and `options.work`, an empty folder
run(options) -> Report  what was measured; what the scenario started has ended by then
"""
