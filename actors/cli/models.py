"""The models on this machine, without a service: run them on a file, and measure them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.cli.tables import export_tables, pairs_table
from actors.cli.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from engines.tracking.checkpoint_files import checkpoint_files
from streaming.errors import NotFound
from streaming.settings import BackendName, TrackerPrecision, load_settings

if TYPE_CHECKING:
    pass

T = TypeVar("T")


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
    from actors.cli.clip_tracking import ClipTracker, Engines
    from actors.engine_loading import load_grounder, load_trackers
    from streaming.validation import check_query_text

    settings = load_settings(config)
    log_to_stderr(settings.model_copy(update={"log_level": "warning"}))
    texts = [check_query_text(text, settings.max_query_chars) for text in query]
    if not clip.is_file():
        raise NotFound(f"There is no file {clip}.", remedy="Check the path.")
    with err.status("Loading the models ..."):
        tracker = ClipTracker(texts, Engines(load_grounder(settings), load_trackers(settings)))
    with progress_bar() as progress:
        bar = progress.add_task("tracking", total=None)
        try:
            tracker.run(clip, out_dir, lambda done, total: progress.update(bar, completed=done, total=total))
        except KeyboardInterrupt:
            err.print("Stopped; what was tracked so far is kept.")
    summary = tracker.summary(out_dir)
    print_json(asdict(summary)) if as_json else out.print(pairs_table(asdict(summary)))


def export(
    model: Annotated[
        str, typer.Argument(help="nano, a SAM-2 or EdgeTAM checkpoint, or a folder made by `saccade train`.")
    ],
    backend: Annotated[BackendName, typer.Option(help="What is to run them; auto: the best here.")] = "auto",
    precision: Annotated[
        TrackerPrecision | None,
        typer.Option(help="Of products; the settings' tracker_precision if left out."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of its pictures, e.g. 512; the settings' tracker_px if left out.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; the settings' cache_dir if left out.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Build the tracker's graphs for a backend, and check each against torch.

    A service that finds them in its cache_dir starts at once. Prints how long each took, what its files
    weigh, and how much it differs from torch on the same inputs (root mean square, in parts of torch's):
    more than a tenth is an error, in int8 more than half. TensorRT-RTX builds without a GPU, too, and is then
    not checked.

        saccade export nano --backend openvino
        saccade export edgetam.pt --size 512 --backend openvino --precision int8
        saccade export ~/sam2.1_hiera_tiny.pt --backend tensorrt --precision float32 --out engines/ --json
    """
    settings = load_settings(config)
    log_to_stderr(settings.model_copy(update={"log_level": "warning"}))
    tracker, folder = _tracker_of(model), out_dir or settings.cache_dir
    checkpoint_files(tracker)  # before transformers is imported, which takes seconds
    chosen = {"tracker": tracker, "backend": backend, "cache_dir": folder}
    chosen |= {} if size is None else {"tracker_px": size}
    chosen |= {} if precision is None else {"tracker_precision": precision}
    with err.status("Loading the model ..."):
        from actors.cli.exporting import TrackerExport

        work = TrackerExport(settings.model_copy(update=chosen))
    parts = []
    with progress_bar() as progress:
        bar = progress.add_task("building", total=len(work.graphs))
        for graph in work.graphs:
            progress.update(bar, description=f"building {graph.name}")
            parts.append(asdict(work.build(graph)))
            progress.advance(bar)
    found = {"model": model, "backend": work.backend, "folder": str(folder), "graphs": parts}
    print_json(found) if as_json else out.print(*export_tables(found))


def _tracker_of(model: str) -> str:
    """What people name: nano, a checkpoint, or a folder with one in `tracker`."""
    inner = Path(model) / "tracker"
    return str(inner) if model != "nano" and inner.is_dir() else model


def progress_bar() -> Progress:
    """A bar on stderr: items done of all, and the time that remains."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True)
