"""`python -m actors` is the command `saccade`."""

from actors.cli import main

main()
