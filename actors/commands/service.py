"""The service on this machine: show it, run it, ask whether it could run."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from actors.commands.terminal import FAILURE_EXIT, AsJson, Config, err, log_to_stderr, out, print_json
from actors.tables import checks_table, pairs_table
from streaming.settings import Settings, load_settings


def demo(
    query: Annotated[str | None, typer.Option(help="What to follow first; else the scene says.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds to run; else until Ctrl-C.", min=5)] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Play the bundled clip as a live camera, follow words on it, show the page at :8400.

    Over a real RTSP server where one is at hand. With --duration it asks for one thing after the other,
    compares what was published with the scene's truth, and prints the figures as its last line.

        saccade demo
        saccade demo --query "the person in yellow"
        saccade demo --duration 30 --no-browser --json
    """
    from actors.demo import DemoOptions, run_demo
    from actors.stopping import run_stoppable

    settings = load_settings(config)
    if as_json:
        settings = settings.model_copy(update={"log_level": "warning"})
    log_to_stderr(settings)
    verdict = run_stoppable(run_demo(settings, DemoOptions(query, duration, not no_browser), err))
    if verdict is None:
        raise KeyboardInterrupt
    if as_json:
        print_json(asdict(verdict))
    else:
        out.print(pairs_table(asdict(verdict)))


def up(config: Config = None) -> None:
    """Run the service: gateway, page, workers, grounder, and a Redis of its own if none is given.

    Ctrl-C or SIGTERM ends it, with every process it started. Streams and queries come back at the next start.

        saccade up
        SACCADE_PORT=9000 SACCADE_ALLOWED_HOSTS='["192.168.1.0/24"]' saccade up
    """
    from actors.stopping import run_stoppable

    settings = load_settings(config)
    log_to_stderr(settings)
    run_stoppable(_serve(settings))


async def _serve(settings: Settings) -> None:
    from actors.service import running_service

    err.print("Starting (the first time takes longer: models are compiled) ...")
    async with running_service(settings) as service:
        err.print(f"Page  {service.page_url}", soft_wrap=True)
        err.print(f"API   {service.url}/openapi.json   token: {settings.state_dir / 'token'}")
        err.print("Ctrl-C stops it.")
        try:
            await asyncio.Event().wait()
        finally:
            err.print("Stopping ...")


def doctor(as_json: AsJson = False, config: Config = None) -> None:
    """Look at this machine: what the service stands on, what is missing, what to do about it."""
    from actors.doctor import examine, is_healthy

    checks = examine(load_settings(config))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        out.print(checks_table(checks))
    if not is_healthy(checks):
        raise typer.Exit(FAILURE_EXIT)
