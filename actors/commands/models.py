"""The models on this machine, without a service: run them on a file, and measure them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.commands.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from actors.tables import eval_tables, export_tables, pairs_table
from engines.tracking.files import checkpoint_files
from streaming.errors import NotFound, ServiceUnavailable
from streaming.settings import BackendName, Settings, TrackerPrecision, load_settings

if TYPE_CHECKING:
    from engines.evaluation.report import Model
    from engines.training.world.levels import Level

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
    from actors.models import load_grounder, load_trackers
    from actors.track import ClipTracker, Engines
    from streaming.checks import check_query_text

    settings = load_settings(config)
    log_to_stderr(settings.model_copy(update={"log_level": "warning"}))
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
    print_json(asdict(summary)) if as_json else out.print(pairs_table(asdict(summary)))


def evaluate(
    model: Annotated[
        str,
        typer.Argument(help="nano, or a folder made by `saccade train`; the settings' models if left out."),
    ] = "",
    level: Annotated[
        str, typer.Option(help="Of the drawn world: its name, or all, one after the other.")
    ] = "world",
    scenes: Annotated[
        int, typer.Option(help="Held-out scenes of each set to ask everything about.", min=1)
    ] = 200,
    clips: Annotated[int, typer.Option(help="Held-out clips of 4 s to follow things through.", min=1)] = 40,
    davis: Annotated[
        Path | None, typer.Option(help="Folder of real films, <name>/frames/*.jpg and <name>/masks/*.png.")
    ] = None,
    live: Annotated[
        int, typer.Option(help="Held-out clips to play as live cameras and ask words of; 0 for none.", min=0)
    ] = 8,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Measure the models on drawn scenes that no training saw.

    Words that point, by kind, on unseen scenes, on held-out combinations
    of colour and kind, and among look-alikes; things followed from a first
    mask through clips in which they hide and return; questions; captions,
    whose phrases have to lie on what they name; words on live RTSP streams,
    whose masks have to fit the picture that is on when they are published
    (needs go2rtc); with --davis real films.

    J&F is that of DAVIS: how well a mask covers (J) and how well its edge
    fits (F), 1 at best. The same command gives the same figures, but for
    live streams, which are as good as the machine is quiet. Some minutes on
    two quiet cores; with --level all, that for each level, live the last.

        saccade eval nano --json
        saccade eval nano --level plain --scenes 20 --clips 4
        saccade eval out/nano --level all --davis ~/davis
    """
    levels = _levels(level)
    from engines.evaluation.footage import find_films, score_footage
    from engines.evaluation.report import Sizes, plain, score_level

    films = find_films(davis) if davis else []
    with err.status("Loading the models ..."):
        settings = _named(model, load_settings(config))
        measured = _model(settings)
    found: dict[str, Any] = {"model": model or "settings", "levels": [], "footage": None, "live": None}
    with _progress() as progress:

        def watch(items: Iterable[T], part: str, total: int) -> Iterable[T]:
            return progress.track(items, total=total, description=part)

        for one in levels:
            found["levels"].append(plain(score_level(measured, one, Sizes(scenes, clips), watch)))
        if films:
            found["footage"] = plain(score_footage(measured.tracker, watch(films, "films", len(films))))
        if live:
            found["live"] = _live(settings, levels[-1], live, progress)
    print_json(found) if as_json else out.print(*eval_tables(found))


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
        from actors.exporting import TrackerExport

        work = TrackerExport(settings.model_copy(update=chosen))
    parts = []
    with _progress() as progress:
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


def _levels(name: str) -> tuple[Level, ...]:
    from engines.training.world.levels import LADDER

    levels = {level.name: (level,) for level in LADDER} | {"all": LADDER}
    if name not in levels:
        raise typer.BadParameter(f"Choose one of {', '.join(levels)}.", param_hint="--level")
    return levels[name]


def _named(name: str, settings: Settings) -> Settings:
    """With the two models of a name or a folder; without one, those that the settings name."""
    if name == "nano":
        return settings.model_copy(update={"model": name, "tracker": name})
    if name:
        folder = Path(name).absolute()  # other processes read it too
        parts = {"model": str(folder / "sa2va"), "tracker": str(folder / "tracker")}
        return settings.model_copy(update=parts)
    return settings


def _model(settings: Settings) -> Model:
    from actors.models import load_compiled, load_grounder
    from engines.evaluation.report import Model

    return Model(load_grounder(settings), load_compiled(settings))


def _live(settings: Settings, level: Level, clips: int, progress: Progress) -> dict[str, Any]:
    """Words on live streams, or why they were left out."""
    from actors.measuring.live import LiveOptions, score_live
    from actors.measuring.on_air import require_go2rtc
    from actors.stopping import run_stoppable
    from engines.evaluation.report import plain

    try:
        require_go2rtc()
    except ServiceUnavailable as exc:
        return {"left_out": str(exc)}
    bar = progress.add_task(f"{level.name}: live clips", total=clips)
    quiet = settings.model_copy(update={"log_level": "warning"})
    log_to_stderr(quiet)
    score = run_stoppable(score_live(quiet, LiveOptions(level, clips), lambda: progress.advance(bar)))
    if score is None:
        raise KeyboardInterrupt
    return plain(score)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True)
