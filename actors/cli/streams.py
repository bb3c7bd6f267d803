"""Commands about a running service: stream and query over its REST API, watch over its WebSocket feed."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.tables import queries_table, streams_table
from actors.cli.terminal import AsJson, Config, err, out, print_json
from streaming.settings import Settings, load_settings

if TYPE_CHECKING:
    from actors.cli.api_client import ServiceClient

stream_app = typer.Typer(help="Add, list and remove the streams of a running service.", no_args_is_help=True)
query_app = typer.Typer(
    help="Add, edit, list and remove the queries of a running service.", no_args_is_help=True
)

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="SACCADE_SERVER",
        help="Address of the service, e.g. http://127.0.0.1:8400. Default: host and port of the settings.",
    ),
]


@stream_app.command("add")
def stream_add(
    stream_id: Annotated[str, typer.Argument(metavar="ID", help="A name you choose: letters, digits, . _ -")],
    url: Annotated[str, typer.Argument(help="rtsp(s)://…, whip:, camera:N, /dev/videoN or a file.")],
    query: Annotated[str | None, typer.Option(help='What to follow on it, e.g. "the red car".')] = None,
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Add a stream, with a first query if wanted.

    The service reads a camera or a file; for `whip:` it waits for a browser to publish. It reconnects by
    itself.

    saccade stream add door rtsp://user:password@192.168.1.20/stream1 --query "the person in the red jacket"
    saccade stream add phone whip:          (then publish a camera from the page)
    """
    with _client(server, config) as client:
        added = client.post("/v1/streams", {"stream_id": stream_id, "url": url})
        if query is not None:
            client.post(f"/v1/streams/{stream_id}/queries", {"text": query})
            added = client.get(f"/v1/streams/{stream_id}")
    print_json(added) if as_json else out.print(streams_table([added]))


@stream_app.command("list")
def stream_list(server: Server = None, as_json: AsJson = False, config: Config = None) -> None:
    """List the streams: state, frames per second, frame age, dropped frames, queries."""
    with _client(server, config) as client:
        streams = client.get("/v1/streams")
    print_json(streams) if as_json else out.print(streams_table(streams))


@stream_app.command("remove")
def stream_remove(
    stream_id: Annotated[str, typer.Argument(metavar="ID")], server: Server = None, config: Config = None
) -> None:
    """Remove a stream, with its queries and viewers."""
    with _client(server, config) as client:
        client.delete(f"/v1/streams/{stream_id}")
    err.print(f"Removed {stream_id}.", markup=False)


@query_app.command("add")
def query_add(
    stream_id: Annotated[str, typer.Argument(metavar="STREAM")],
    text: Annotated[
        str, typer.Argument(help='What to follow, or a question, e.g. "the person in the red jacket".')
    ],
    kind: Annotated[
        str, typer.Option(help="refer: masks; ask: an answer in text; describe: a caption.")
    ] = "refer",
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Region that an ask is about, as fractions 0..1 of the frame's width and height.",
        ),
    ] = None,
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Add a query to a stream.

    It is answered on the next keyframe, and its objects are followed from then on.

    saccade query add door "the person in the red jacket"
    saccade query add door "What is this?" --kind ask --region 0.4,0.2,0.6,0.7
    """
    wanted: dict[str, object] = {"text": text, "kind": kind}
    if region is not None:
        wanted["region"] = _corners(region)
    with _client(server, config) as client:
        added = client.post(f"/v1/streams/{stream_id}/queries", wanted)
    print_json(added) if as_json else out.print(queries_table([added]))


@query_app.command("edit")
def query_edit(
    query_id: Annotated[str, typer.Argument(metavar="ID")],
    text: Annotated[str, typer.Argument(help="New text.")],
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Change the text of a query while it runs. Tracks that match the new text keep their ids."""
    with _client(server, config) as client:
        edited = client.patch(f"/v1/queries/{query_id}", {"text": text})
    print_json(edited) if as_json else out.print(queries_table([edited]))


@query_app.command("list")
def query_list(
    stream_id: Annotated[str | None, typer.Argument(metavar="STREAM", help="Default: all streams.")] = None,
    server: Server = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List queries: text, state, last answer, prompt-to-mask time."""
    with _client(server, config) as client:
        streams = client.get("/v1/streams")
        if stream_id is not None:
            streams = [client.get(f"/v1/streams/{stream_id}")]
    queries = [query for stream in streams for query in stream["queries"]]
    print_json(queries) if as_json else out.print(queries_table(queries))


@query_app.command("remove")
def query_remove(
    query_id: Annotated[str, typer.Argument(metavar="ID")], server: Server = None, config: Config = None
) -> None:
    """Remove a query and end its tracks."""
    with _client(server, config) as client:
        client.delete(f"/v1/queries/{query_id}")
    err.print(f"Removed {query_id}.", markup=False)


def watch(
    stream_id: Annotated[str, typer.Argument(metavar="STREAM")],
    server: Server = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON message a line, for pipes.")
    ] = False,
    config: Config = None,
) -> None:
    """Show a stream's tracks and events live, or print its messages as JSON lines.

    saccade watch door
    saccade watch door --json | jq -c '.tracks[] | {track_id, state, box_px}'
    """
    from actors.cli.watch import Board, draw_board, print_lines, watch_stream

    settings = load_settings(config)
    show = print_lines if as_json else partial(draw_board, board=Board(stream_id), console=out)
    asyncio.run(watch_stream(_server_url(server, settings), _token(settings), stream_id, show))


def _client(server: str | None, config: Path | None) -> ServiceClient:
    settings = load_settings(config)
    from actors.cli.api_client import ServiceClient

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


def _corners(region: str) -> list[float]:
    try:
        corners = [float(each) for each in region.split(",")]
    except ValueError:
        corners = []
    if len(corners) != 4:
        raise typer.BadParameter("Give four numbers, as 0.4,0.2,0.6,0.7.", param_hint="--region")
    return corners
