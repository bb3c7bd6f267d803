"""The commands of `saccade`, by what they talk to.

    service.py    the service on this machine: demo, up, doctor
    streams.py    a running service, over HTTP: stream, query, watch
    models.py     the models themselves, without a service: track, eval, train
    bench.py      how fast this machine is: bench line, load, tracker, boxes, grounder, checkpoint
    soak.py       bench soak: what an endless stream costs in memory
    terminal.py   what they share: consoles, exit codes, options

Rules
    A command is a plain function; `actors/cli/main.py` gives it its name and its place in the help.
    Heavy imports (torch, Ray) wait until a command needs them: they stand inside its function.
"""
