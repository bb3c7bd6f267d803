"""The commands of `saccade` that use the product. The commands demo, eval, bench and train are in `lab/cli/`.

    main.py           the entry point: puts all commands together, turns errors into one line
    service.py        up, doctor
    streams.py        stream, query, watch: a running service, by its REST API
    models.py         track, export: the models on this machine, without a service
    terminal.py       shared: consoles, exit codes, options
    tables.py         shared: tables
    api_client.py     HTTP client of the REST API
    watch.py          `watch`: the WebSocket feed in the terminal
    clip_tracking.py  `track`: a session over a file
    overlay.py        `track`: tracks drawn on frames
    exporting.py      `export`: graphs built and compared with torch
    doctor.py         `doctor`: checks of the machine

Rules
    A command is a function whose docstring is its help text. Results go to stdout, all else to stderr.
    A user's mistake exits with 2, a failure with 1; both print one line. `--json` prints one line of JSON.
    Modules that a command imports at the top load neither torch nor Ray; a command imports those in its body.
"""
