"""The command line. Every command teaches itself with --help; errors are one line and a non-zero exit.

Heavy imports (torch, Ray) wait until a command needs them: `saccade --help` answers at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from actors.tables import bench_tables, checks_table, pairs_table, queries_table, streams_table
from streaming.errors import NotFound, SaccadeError, UsageError
from streaming.settings import Settings, load_settings

app = typer.Typer(
    name="saccade",
    help="Say what to follow: words in, pixel masks out, on live video.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `saccade demo`. Settings: saccade.toml and SACCADE_* (see docs/settings.md).",
)
stream_app = typer.Typer(help="Cameras and files of a running service.", no_args_is_help=True)
query_app = typer.Typer(help="What a running service follows, in words.", no_args_is_help=True)
train_app = typer.Typer(help="Train the bundled model again.", no_args_is_help=True)
app.add_typer(stream_app, name="stream")
app.add_typer(query_app, name="query")
app.add_typer(train_app, name="train")

out = Console()
err = Console(stderr=True)

USAGE_EXIT = 2
FAILURE_EXIT = 1

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; saccade.toml here if there is one.")
]
Server = Annotated[
    str | None,
    typer.Option("--server", envvar="SACCADE_SERVER", help="The service, e.g. http://127.0.0.1:8400."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]


def main() -> None:
    """Entry point of the command `saccade`."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app(standalone_mode=True)
    except SaccadeError as exc:
        _fail(exc)
    except KeyboardInterrupt:
        err.print("Stopped.")
        sys.exit(130)


def _fail(exc: SaccadeError) -> NoReturn:
    err.print(f"[red]{exc.code}[/red]: {exc}", highlight=False, soft_wrap=True)
    sys.exit(USAGE_EXIT if isinstance(exc, UsageError) else FAILURE_EXIT)


@app.command()
def demo(
    query: Annotated[str, typer.Option(help="What to follow first.")] = "the red circle",
    duration: Annotated[float | None, typer.Option(help="Seconds to run; else until Ctrl-C.", min=5)] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Play the bundled clip as a live camera, follow words on it, show the page at :8400.

    Over a real RTSP server where one is at hand. With --duration it asks for one thing after the other,
    compares what was published with the scene's truth, and prints the figures as its last line.

        saccade demo
        saccade demo --query "the yellow star"
        saccade demo --duration 30 --no-browser --json
    """
    from actors.demo import DemoOptions, run_demo

    settings = load_settings(config)
    if as_json:
        settings = settings.model_copy(update={"log_level": "warning"})
    _log_to_stderr(settings)
    verdict = _run(run_demo(settings, DemoOptions(query, duration, not no_browser), err))
    if as_json:
        print(json.dumps(asdict(verdict)), flush=True)
    else:
        out.print(pairs_table(asdict(verdict)))


@app.command()
def up(config: Config = None) -> None:
    """Run the service: gateway, page, workers, grounder, and a Redis of its own if none is given.

    Ctrl-C or SIGTERM ends it, with every process it started. Streams and queries come back at the next start.

        saccade up
        SACCADE_PORT=9000 SACCADE_ALLOWED_HOSTS='["192.168.1.0/24"]' saccade up
    """
    settings = load_settings(config)
    _log_to_stderr(settings)
    _run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from actors.service import running_service, wait_for_stop

    err.print("Starting (the first time takes longer: models are compiled) ...")
    async with running_service(settings) as service:
        err.print(f"Page  {service.page_url}", soft_wrap=True)
        err.print(f"API   {service.url}/openapi.json   token: {settings.state_dir / 'token'}")
        err.print("Ctrl-C stops it.")
        await wait_for_stop()
        err.print("Stopping ...")


@stream_app.command("add")
def stream_add(
    stream_id: Annotated[str, typer.Argument(metavar="ID", help="A name you choose: letters, digits, . _ -")],
    url: Annotated[str, typer.Argument(help="rtsp(s)://…, whip:, camera:N, /dev/videoN or a file.")],
    query: Annotated[str | None, typer.Option(help="What to follow on it.")] = None,
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Add a stream, and a query to begin with.

    saccade stream add door rtsp://user:password@192.168.1.20/stream1 --query "the person in the red jacket"
    saccade stream add phone whip:          (then publish from the page)
    """
    with _client(server, config) as client:
        added = client.post("/v1/streams", {"stream_id": stream_id, "url": url})
        if query is not None:
            client.post(f"/v1/streams/{stream_id}/queries", {"text": query})
            added = client.get(f"/v1/streams/{stream_id}")
    _print_json(added) if as_json else out.print(streams_table([added]))


@stream_app.command("list")
def stream_list(server: Server = None, as_json: AsJson = False, config: Config = None) -> None:
    """List streams: state, rate, frame age, drops, queries."""
    with _client(server, config) as client:
        streams = client.get("/v1/streams")
    _print_json(streams) if as_json else out.print(streams_table(streams))


@stream_app.command("remove")
def stream_remove(
    stream_id: Annotated[str, typer.Argument(metavar="ID")], server: Server = None, config: Config = None
) -> None:
    """Remove a stream, its queries and its viewers."""
    with _client(server, config) as client:
        client.delete(f"/v1/streams/{stream_id}")
    err.print(f"Removed {stream_id}.")


@query_app.command("add")
def query_add(
    stream_id: Annotated[str, typer.Argument(metavar="STREAM")],
    text: Annotated[str, typer.Argument(help='For instance "the person in the red jacket".')],
    kind: Annotated[str, typer.Option(help="refer (a mask), ask (a text) or describe.")] = "refer",
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Ask a stream for something, from now on.

    saccade query add door "the person in the red jacket"
    """
    with _client(server, config) as client:
        added = client.post(f"/v1/streams/{stream_id}/queries", {"text": text, "kind": kind})
    _print_json(added) if as_json else out.print(queries_table([added]))


@query_app.command("edit")
def query_edit(
    query_id: Annotated[str, typer.Argument(metavar="ID")],
    text: Annotated[str, typer.Argument(help="The new words.")],
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Change the words of a query while it runs; tracks that still fit keep their id."""
    with _client(server, config) as client:
        edited = client.patch(f"/v1/queries/{query_id}", {"text": text})
    _print_json(edited) if as_json else out.print(queries_table([edited]))


@query_app.command("list")
def query_list(
    stream_id: Annotated[str | None, typer.Argument(metavar="STREAM", help="All if not given.")] = None,
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List queries: words, state, last answer, prompt-to-mask."""
    with _client(server, config) as client:
        streams = client.get("/v1/streams")
        if stream_id is not None:
            streams = [client.get(f"/v1/streams/{stream_id}")]
    queries = [query for stream in streams for query in stream["queries"]]
    _print_json(queries) if as_json else out.print(queries_table(queries))


@query_app.command("remove")
def query_remove(
    query_id: Annotated[str, typer.Argument(metavar="ID")], server: Server = None, config: Config = None
) -> None:
    """Remove a query and end its tracks."""
    with _client(server, config) as client:
        client.delete(f"/v1/queries/{query_id}")
    err.print(f"Removed {query_id}.")


@app.command()
def watch(
    stream_id: Annotated[str, typer.Argument(metavar="STREAM")],
    server: Server = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON message a line, for pipes.")] = False,
    config: Config = None,
) -> None:
    """Show a stream's tracks and events live in the terminal, or pipe its results as JSON lines.

    saccade watch door
    saccade watch door --json | jq -c '.tracks[] | {track_id, state, box_px}'
    """
    from actors.watch import Board, draw_board, print_lines, watch_stream

    settings = load_settings(config)
    show = print_lines if as_json else partial(draw_board, board=Board(stream_id), console=out)
    _run(watch_stream(_server_url(server, settings), _token(settings), stream_id, show))


@app.command()
def track(
    clip: Annotated[Path, typer.Argument(help="A video file.")],
    query: Annotated[list[str], typer.Option(help="What to follow; may be given several times.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for overlay.mp4 and results.jsonl.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Follow words through a file: every frame, no service. Ctrl-C keeps what is done.

    saccade track clip.mp4 --query "the red circle" --query "the blue square" --out out/
    """
    from actors.models import load_grounder, load_trackers
    from actors.track import ClipTracker, Engines
    from streaming.checks import check_query_text

    settings = load_settings(config)
    _log_to_stderr(settings.model_copy(update={"log_level": "warning"}))
    texts = [check_query_text(text, settings.max_query_chars) for text in query]
    if not clip.is_file():
        raise NotFound(f"There is no file {clip}.", remedy="Check the path.")
    with err.status("Loading the models ..."):
        tracker = ClipTracker(texts, Engines(load_grounder(settings), load_trackers(settings)))
    with _progress() as progress:
        bar = progress.add_task("tracking", total=None)
        try:
            tracker.run(clip, out_dir, lambda done, total: progress.update(bar, completed=done, total=total))
        except KeyboardInterrupt:
            err.print("Stopped; what was tracked so far is kept.")
    summary = tracker.summary(out_dir)
    _print_json(asdict(summary)) if as_json else out.print(pairs_table(asdict(summary)))


@app.command()
def bench(
    objects: Annotated[str, typer.Option(help="Numbers of objects, e.g. 1,3.")] = "1,3",
    frames: Annotated[int, typer.Option(help="Frames to time, after a warm-up.", min=10)] = 100,
    threads: Annotated[int, typer.Option(help="CPU threads on both sides.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Time our tracker against transformers' own video session: same weights, frames, threads, one run.

    Run it on a quiet machine. Prints ms per frame and part, frames per second, the ratio, and how much the
    masks agree.
    """
    from engines.evaluation.bench import bench_tracker

    counts = _counts(objects)
    with err.status("Timing both, in alternating order ..."):
        report = bench_tracker(counts, frames=frames, threads=threads)
    _print_json(asdict(report)) if as_json else out.print(*bench_tables(asdict(report)))


@app.command("eval")
def evaluate(
    scenes: Annotated[int, typer.Option(help="Held-out pictures to ask everything about.", min=1)] = 200,
    clips: Annotated[int, typer.Option(help="Held-out clips to follow things through.", min=1)] = 52,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Measure the models on drawn scenes that no training saw: referring by kind of words, and following.

    Takes about ten minutes on two quiet cores with the defaults. The figures of engines/nano/MODEL_CARD.md
    are its output.
    """
    from actors.models import load_compiled, load_grounder
    from engines.evaluation.following import score_tracker
    from engines.evaluation.referring import score_grounder

    settings = load_settings(config)
    with err.status("Asking ..."):
        referring = score_grounder(load_grounder(settings), scenes)
    with err.status("Following ..."):
        following = score_tracker(load_compiled(settings), clips=clips, frames=36, stride=2.0)
    found = {"referring": asdict(referring), "following": asdict(following)}
    if as_json:
        _print_json(found)
    else:
        out.print(pairs_table(found["referring"]), pairs_table(found["following"]))


@train_app.command("nano")
def train_nano_command(
    stage: Annotated[str, typer.Option(help="tracker, memory, grounding, decoder or all.")] = "all",
    budget_s: Annotated[float, typer.Option(help="Seconds of training in all.", min=10)] = 7200.0,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in --runs.")] = True,
    runs: Annotated[Path, typer.Option(help="Folder for checkpoints and logs.")] = Path("runs"),
    export: Annotated[Path, typer.Option("--out", help="Folder for the finished model.")] = Path("out/nano"),
    as_json: AsJson = False,
) -> None:
    """Train the bundled model from nothing, on scenes it draws itself.

    May be stopped at any time and goes on where it was. The bundled weights were made by this command; see
    engines/nano/MODEL_CARD.md.

        saccade train nano --budget-s 7200 --out out/nano
        SACCADE_MODEL=out/nano/sa2va SACCADE_TRACKER=out/nano/tracker saccade demo
    """
    from engines.training.recipe import Stage, TrainOptions, TrainProgress, train_nano

    if stage not in set(Stage):
        raise typer.BadParameter(f"Choose one of {', '.join(Stage)}.", param_hint="--stage")
    options = TrainOptions(Stage(stage), budget_s, resume, runs, export)
    with _seconds_progress() as bars:
        bar_of: dict[str, TaskID] = {}

        def show(progress: TrainProgress) -> None:
            bar = bar_of.get(progress.stage)
            if bar is None:
                bar = bar_of[progress.stage] = bars.add_task(progress.stage, total=progress.budget_s)
            bars.update(bar, completed=progress.spent_s)
            if progress.figures:
                figures = "  ".join(f"{name} {value:.3g}" for name, value in progress.figures.items())
                err.print(f"{progress.stage}: {figures}", highlight=False, soft_wrap=True)

        report = train_nano(options, show)
    stages = [str(stage) for stage in report.stages]
    found = {"stages": stages, "took_s": report.took_s, "export": str(report.export)}
    _print_json(found) if as_json else out.print(pairs_table(found))


@app.command()
def doctor(as_json: AsJson = False, config: Config = None) -> None:
    """Look at this machine: what the service stands on, what is missing, what to do about it."""
    from actors.doctor import examine, is_healthy

    checks = examine(load_settings(config))
    if as_json:
        _print_json([asdict(check) for check in checks])
    else:
        out.print(checks_table(checks))
    if not is_healthy(checks):
        raise typer.Exit(FAILURE_EXIT)


# What the commands share


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def _client(server: str | None, config: Path | None) -> Any:
    from actors.client import ServiceClient

    settings = load_settings(config)
    return ServiceClient(_server_url(server, settings), _token(settings))


def _server_url(server: str | None, settings: Settings) -> str:
    if server is not None:
        return server.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _token(settings: Settings) -> str | None:
    from dashboards.auth import find_token

    token = find_token(settings)
    return None if token is None else token.get_secret_value()


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise typer.BadParameter("Write numbers of objects with commas between, e.g. 1,3.")
    return counts


def _log_to_stderr(settings: Settings) -> None:
    handler = RichHandler(console=err, show_path=False, markup=False, log_time_format="[%X]")
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(message)s", handlers=[handler], force=True
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True)


def _seconds_progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True)


def _print_json(value: object) -> None:
    print(json.dumps(value), flush=True)
