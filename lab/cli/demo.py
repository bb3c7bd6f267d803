"""`saccade demo`: run the service on a clip or on a source of one's own, and score what it publishes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from actors.cli.tables import pairs_table
from actors.cli.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from lab.demo.scenes import SceneName
from streaming.errors import InvalidSettings
from streaming.settings import load_settings


def demo(
    source: Annotated[
        str | None, typer.Argument(help="Your own source: rtsp://..., a file, camera:0; instead of a scene.")
    ] = None,
    scene: Annotated[
        SceneName, typer.Option(help="Real footage (downloaded, 2 MB) or the drawn clip.")
    ] = SceneName.DRAWN,
    camera: Annotated[int | None, typer.Option(help="Your own camera, by its number.", min=0)] = None,
    query: Annotated[
        str | None, typer.Option(help="What to follow first; else the clip's first phrase.")
    ] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds to run; else until Ctrl-C.", min=5)] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Play a clip as a live camera, follow a query on it, show the page at :8400.

    Over an RTSP server where go2rtc is installed. With --duration it asks for one object after the other,
    compares the published masks with the clip's reference masks, and prints the figures as its last line.

        saccade demo
        saccade demo --camera 0 --query "the person"
        saccade demo rtsp://camera.example/stream1
        saccade demo --scene drawn --query "the person in yellow"
        saccade demo --duration 30 --no-browser --json
    """
    from actors.shutdown import run_stoppable
    from lab.demo.run import DemoOptions, run_demo

    if source is not None and camera is not None:
        raise InvalidSettings("A source and --camera exclude each other.", remedy="Give one of them.")
    settings = load_settings(config)
    if as_json:
        settings = settings.model_copy(update={"log_level": "warning"})
    log_to_stderr(settings)
    own = source if camera is None else f"camera:{camera}"
    options = DemoOptions(query, duration, browser=not no_browser, scene=scene, source=own)
    score = run_stoppable(run_demo(settings, options, err))
    if score is None:
        raise KeyboardInterrupt
    if as_json:
        print_json(asdict(score))
    else:
        out.print(pairs_table(asdict(score)))
