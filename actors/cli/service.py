"""Commands about the service on this machine: up, doctor."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import typer

from actors.cli.tables import checks_table
from actors.cli.terminal import FAILURE_EXIT, AsJson, Config, err, log_to_stderr, out, print_json
from streaming.settings import Settings, load_settings


def up(config: Config = None) -> None:
    """Run the service: gateway, page, workers and grounder; also a Redis unless redis_url names one.

    Prints the page's address. Ctrl-C or SIGTERM stops it and every process it started. The next start
    restores its streams and queries.

        saccade up
        SACCADE_PORT=9000 SACCADE_ALLOWED_HOSTS='["192.168.1.0/24"]' saccade up
    """
    from actors.shutdown import run_stoppable

    settings = load_settings(config)
    log_to_stderr(settings)
    run_stoppable(_serve(settings))


async def _serve(settings: Settings) -> None:
    from actors.service import running_service

    err.print("Starting (the first start takes longer, because the models are compiled) ...")
    async with running_service(settings) as service:
        # The page's address holds the token, which belongs on a terminal and in no log.
        page = service.page_url if err.is_terminal else service.url
        err.print(f"Page  {page}", soft_wrap=True, markup=False)
        err.print(f"API   {service.url}/openapi.json   token: {settings.state_dir / 'token'}", markup=False)
        err.print("Ctrl-C stops it.")
        try:
            await asyncio.Event().wait()
        finally:
            err.print("Stopping ...")


def doctor(as_json: AsJson = False, config: Config = None) -> None:
    """Check what the service needs on this machine, and say what to do about what is missing.

    Exits with 1 if the service cannot run. Starts nothing; writes one key to the Redis of redis_url, to see
    if it takes writes.
    """
    from actors.cli.doctor import examine, is_healthy

    checks = examine(load_settings(config))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        out.print(checks_table(checks))
    if not is_healthy(checks):
        raise typer.Exit(FAILURE_EXIT)
