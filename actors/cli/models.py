"""Commands that run the models on this machine, without a service: track, export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.cli.tables import export_tables, pairs_table
from actors.cli.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from engines.tracking.checkpoint_files import checkpoint_files
from streaming.errors import NotFound
from streaming.settings import BackendName, TrackerPrecision, load_settings


def track(
    clip: Annotated[Path, typer.Argument(help="Video file.")],
    query: Annotated[list[str], typer.Option(help="What to follow. Repeat it for more.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for overlay.mp4 and results.jsonl.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Follow queries through every frame of a file. Needs no service.

    Writes overlay.mp4, the clip with its masks drawn, and results.jsonl, one result a frame. Ctrl-C stops
    early and leaves both files complete up to that frame.

        saccade track clip.mp4 --query "the red car" --query "the person in yellow" --out out/
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
            err.print("Stopped. The files are complete up to this frame.")
    summary = tracker.summary(out_dir)
    print_json(asdict(summary)) if as_json else out.print(pairs_table(asdict(summary)))


def export(
    model: Annotated[
        str,
        typer.Argument(help="nano, a SAM-2 or EdgeTAM checkpoint, or the output folder of `saccade train`."),
    ],
    backend: Annotated[
        BackendName, typer.Option(help="Backend that will run the graphs; auto: the fastest on this machine.")
    ] = "auto",
    precision: Annotated[
        TrackerPrecision | None,
        typer.Option(help="Precision of the matrix products. Default: the setting tracker_precision."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the tracker's input, pixels. Default: the setting tracker_px.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files. Default: the setting cache_dir.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Build a tracker's graphs for a backend and compare each with torch.

    A service whose cache_dir has them starts without compiling. Prints for each graph the time, the size of
    its files and its difference from torch on the same inputs: the root mean square, relative to torch's.
    More than 0.1 is an error; in int8, more than 0.5. TensorRT-RTX also builds on machines without a GPU, and
    then compares nothing.

        saccade export nano --backend openvino
        saccade export edgetam.pt --size 512 --backend openvino --precision int8
        saccade export ~/sam2.1_hiera_tiny.pt --backend tensorrt --precision float32 --out engines/ --json
    """
    settings = load_settings(config)
    log_to_stderr(settings.model_copy(update={"log_level": "warning"}))
    tracker, folder = _tracker_of(model), out_dir or settings.cache_dir
    checkpoint_files(tracker)  # fails before transformers is imported, which takes seconds
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
    """Return the tracker checkpoint of an argument: its subfolder `tracker` if it has one, else itself."""
    inner = Path(model) / "tracker"
    return str(inner) if model != "nano" and inner.is_dir() else model


def progress_bar() -> Progress:
    """Return a progress bar on stderr: items done, all items, remaining time."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True)
