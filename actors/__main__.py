"""`python -m actors` is the command `saccade`."""

from actors.cli.main import main

main()
