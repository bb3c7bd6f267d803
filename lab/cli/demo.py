"""`saccade demo`: run the service on the bundled clip and score what it publishes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from actors.cli.tables import pairs_table
from actors.cli.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from streaming.settings import load_settings


def demo(
    query: Annotated[
        str | None, typer.Option(help="What to follow first; else the clip's first phrase.")
    ] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds to run; else until Ctrl-C.", min=5)] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Play the bundled clip as a live camera, follow a query on it, show the page at :8400.

    Over an RTSP server where go2rtc is installed. With --duration it asks for one object after the other,
    compares the published masks with the clip's ground truth, and prints the figures as its last line.

        saccade demo
        saccade demo --query "the person in yellow"
        saccade demo --duration 30 --no-browser --json
    """
    from actors.shutdown import run_stoppable
    from lab.demo.run import DemoOptions, run_demo

    settings = load_settings(config)
    if as_json:
        settings = settings.model_copy(update={"log_level": "warning"})
    log_to_stderr(settings)
    score = run_stoppable(run_demo(settings, DemoOptions(query, duration, not no_browser), err))
    if score is None:
        raise KeyboardInterrupt
    if as_json:
        print_json(asdict(score))
    else:
        out.print(pairs_table(asdict(score)))
