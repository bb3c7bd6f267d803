"""How fast this machine does it: the whole line, the tracker alone, the grounder alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from actors.cli.tables import pairs_table
from actors.cli.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from lab.cli.bench_tables import bench_tables, boxes_table, grounder_tables, line_table, load_tables
from streaming.settings import TrackerPrecision, load_settings

Plot = Annotated[Path | None, typer.Option(help="Draw it, too, as this .svg.", dir_okay=False)]


def make_room(plot: Path | None) -> None:
    """For a picture that will be written when all is measured."""
    if plot is not None:
        plot.parent.mkdir(parents=True, exist_ok=True)


bench_app = typer.Typer(help="Measure how fast it is here.", no_args_is_help=True)

SA2VA_1B_NAME: Final = "sa2va-1b"

Objects = Annotated[str, typer.Option(help="Numbers of objects, e.g. 1,3.")]


@bench_app.command("line")
def bench_line_command(
    objects: Objects = "1,3",
    seconds: Annotated[float, typer.Option(help="To measure with each number of objects.", min=2)] = 20.0,
    edits: Annotated[int, typer.Option(help="Of words, with each number of objects.", min=0)] = 12,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Time the whole line: a 60 fps camera over RTSP, the service as `saccade up` runs it, masks from Redis.

    Prints frames tracked per second, how old they are when they are published and when they have been read,
    what was dropped, how long new words take to their first mask, and who used the processor meanwhile. The
    camera and the reader run on this machine too. Run it on a quiet one. Needs go2rtc (`make rtsp-server`).

        saccade bench line --json
        saccade bench line --objects 3 --seconds 60
    """
    from actors.shutdown import run_stoppable
    from lab.benchmarks.line import LineOptions, bench_line

    options = LineOptions(_counts(objects), seconds, edits)
    settings = load_settings(config).model_copy(update={"log_level": "warning"})
    log_to_stderr(settings)
    report = run_stoppable(bench_line(settings, options, err.print))
    if report is None:
        raise KeyboardInterrupt
    print_json(asdict(report)) if as_json else out.print(line_table(asdict(report)))


@bench_app.command("load")
def bench_load_command(
    streams: Annotated[int, typer.Option(help="Cameras.", min=1)] = 4,
    queries: Annotated[int, typer.Option(help="Of all streams together.", min=1)] = 10,
    fps: Annotated[int, typer.Option(help="Of every camera.", min=1, max=60)] = 10,
    rounds: Annotated[int, typer.Option(help="Of new words for every query; 0: one alone.", min=0)] = 3,
    seconds: Annotated[float, typer.Option(help="Of following behind every round.", min=1)] = 5.0,
    patience: Annotated[float, typer.Option(help="Seconds that words may take to a mask.", min=1)] = 10.0,
    model: Annotated[str | None, typer.Option(help="`nano`, or the folder of a Sa2VA checkpoint.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Ask many things of many streams at once, and tell what becomes of each beside one query on one stream.

    Prints how many words were answered and how long they took to their first mask, each stream's frame rate
    and frame age, both while words were being answered and in between, the same with one camera gone, the
    memory that the grounder takes, and who used the processor meanwhile. Run it on a quiet machine. Needs
    go2rtc (`make rtsp-server`).

        saccade bench load --json
        saccade bench checkpoint sa2va-1b
        saccade bench load --streams 1 --model sa2va-1b --rounds 0 --patience 120
    """
    from actors.shutdown import run_stoppable
    from lab.benchmarks.load import LoadOptions, bench_load

    options = LoadOptions(streams, queries, fps, rounds, seconds, patience)
    settings = load_settings(config).model_copy(update={"log_level": "warning"})
    settings = settings.model_copy(update={} if model is None else {"model": model})
    log_to_stderr(settings)
    report = run_stoppable(bench_load(settings, options, err.print))
    if report is None:
        raise KeyboardInterrupt
    print_json(asdict(report)) if as_json else out.print(*load_tables(asdict(report)))


@bench_app.command("tracker")
def bench_tracker_command(
    model: Annotated[str, typer.Option(help="See below.")] = "nano",
    size: Annotated[
        int | None, typer.Option(help="Side of its pictures, e.g. 512; its own if left out.")
    ] = None,
    objects: Objects = "1,3",
    backend: Annotated[
        str, typer.Option(help="Of ours, with commas between: auto, openvino, onnxruntime, torch, tensorrt.")
    ] = "auto",
    precision: Annotated[
        TrackerPrecision,
        typer.Option(help="Of our products; auto: the faster of float32 and bfloat16. int8 is made first."),
    ] = "auto",
    against: Annotated[
        str, typer.Option(help="Peers, with commas between: transformers, sam2; '' for none.")
    ] = "transformers",
    frames: Annotated[int, typer.Option(help="Frames to time, after a warm-up.", min=2)] = 40,
    threads: Annotated[int, typer.Option(help="CPU threads on both sides.", min=1)] = 1,
    plot: Plot = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Time our tracker against its peers: same weights, frames, threads, one run, in alternating order.

    The peers are transformers' own video session and the official package sam2 (`make test` installs it),
    each in float32 and in bfloat16. The model is `nano`, the folder or official .pt file of a checkpoint, or
    the name of a published one, to be timed with random weights: sam2.1-tiny, -small, -base-plus, -large,
    the same of sam2, edgetam.

    Prints milliseconds a frame and of its parts (encode the picture, track: attend and decode, remember),
    frames per second, how many times as fast as each peer's faster precision, how much the masks agree with
    its float32, the memory kept for a stream and what each frame adds, and the share of the device's peak of
    matrix products. A frame is timed from the source picture (sam2: from the model's input, for it prepares
    whole films) to masks of its size. Where there is a GPU all of it is measured there, by events. Run it on
    a quiet machine.

        saccade bench tracker --json
        saccade bench tracker --model sam2.1-tiny --size 512 --objects 1,4,16 --against transformers,sam2
        saccade bench tracker --model sam2.1-tiny --size 512 --precision int8 --against transformers,sam2
        saccade bench tracker --model sam2.1-large --backend tensorrt --against sam2 --objects 1 --frames 200
    """
    counts = _counts(objects)
    make_room(plot)
    from lab.benchmarks.tracker import BenchOptions, bench_tracker
    from lab.benchmarks.tracker_plot import draw_bench

    settings = load_settings(config)
    log_to_stderr(settings.model_copy(update={"log_level": "error"}))
    options = BenchOptions(
        model=model,
        side_px=size,
        objects=counts,
        backends=_names(backend),
        precision=precision,
        against=_names(against),
        frames=frames,
        threads=threads,
        cache_dir=settings.cache_dir,
    )
    with err.status("Timing all, in alternating order ..."):
        report = bench_tracker(options)
    print_json(asdict(report)) if as_json else out.print(*bench_tables(asdict(report)))
    if plot:
        plot.write_text(draw_bench(report))


@bench_app.command("boxes")
def bench_boxes_command(
    model: Annotated[Path, typer.Argument(help="An official .pt file of SAM-2, or its image part alone.")],
    davis: Annotated[Path, typer.Argument(help="Folder of films, <name>/frames/*.jpg, <name>/masks/*.png.")],
    every: Annotated[
        int | None,
        typer.Option(help="One picture in so many of each film; its first alone if left out.", min=1),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Compare what every backend makes of real weights with what the official package sam2 does.

    True boxes on pictures of every film; J, how well the answer covers the thing, on torch, ONNX Runtime,
    OpenVINO in float32, in bfloat16 and in int8 (where nncf is installed), and by the package (`make test`
    installs it), on pictures as we shrink them and as it does itself; and how much masks agree with its. The
    image part alone is a .safetensors file of official names: no memory is asked. Takes minutes: graphs are
    made for every runtime.

        saccade bench boxes sam2.1_hiera_tiny.pt ~/davis --json
        saccade bench boxes sam2.1_hiera_tiny.pt ~/davis --every 12
    """
    from lab.evaluation.real_clips import find_films

    settings = load_settings(config)
    films = find_films(davis)  # before torch is imported, which takes seconds
    from lab.benchmarks.box_prompts import score_boxes
    from lab.fixtures.random_sam2 import bench_weights

    with err.status("Reading boxes ..."):
        rows = [asdict(row) for row in score_boxes(bench_weights(model), films, every, settings.cache_dir)]
    print_json(rows) if as_json else out.print(boxes_table(rows))


@bench_app.command("grounder")
def bench_grounder_command(
    model: Annotated[
        str, typer.Option(help="`nano`, the folder of a Sa2VA checkpoint, or owner/name@commit.")
    ] = "nano",
    queries: Annotated[str, typer.Option(help="Numbers of queries on one keyframe, e.g. 1,4,16.")] = "1,4,16",
    repeats: Annotated[int, typer.Option(help="Times each is timed, after a warm-up.", min=1)] = 10,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Time what the grounder saves: an answer given instead of said, and one look for many questions.

    Three tables. The first: "Sure, [SEG]." said token by token, as generation does, against the same answer
    read in one prefill; for the language model alone, and from the picture to the mask. The second: queries
    on one keyframe, each asked alone (the picture is read for every one of them), against all of them behind
    one look. The third: keyframes of four streams together, against one after the other. Both ways take turns
    in one run; times are medians. Run it on a quiet machine.

        saccade bench grounder
        saccade bench grounder --queries 1,8 --json
        saccade bench checkpoint sa2va-1b && saccade bench grounder --model sa2va-1b --repeats 2
    """
    counts = _counts(queries, "queries", most=16)
    from lab.benchmarks.grounder import bench_grounder

    with err.status("Timing both ways, in alternating order ..."):
        report = asdict(bench_grounder(model, counts, repeats=repeats, threads=threads, device=device))
    print_json(report) if as_json else out.print(*grounder_tables(report))


@bench_app.command("checkpoint")
def bench_checkpoint_command(
    folder: Annotated[Path, typer.Argument(help="A new folder; Sa2VA-1B takes 2.4 GB.")],
    of: Annotated[
        str, typer.Option(help="sa2va-1b, or a tracker: edgetam, sam2.1-tiny, and so on.")
    ] = SA2VA_1B_NAME,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint of a published model's exact shape, weights random, to measure without real ones.

    It loads, takes memory and time as the real one does, and says nonsense. Give Sa2VA-1B to `saccade bench
    grounder --model`, or run the service on it: SACCADE_MODEL=FOLDER saccade up. A tracker is for
    SACCADE_TRACKER.

        saccade bench checkpoint sa2va-1b
        saccade bench checkpoint edgetam --of edgetam
        SACCADE_TRACKER=edgetam SACCADE_TRACKER_PX=512 SACCADE_MAX_TRACKS_PER_STREAM=1 \\
            saccade bench line --objects 1
    """
    with err.status("Writing random weights ..."):
        written = {"folder": str(folder), "parameters": _write_random(of, folder)}
    print_json(written) if as_json else out.print(pairs_table(written))


def _write_random(name: str, folder: Path) -> int:
    if name == SA2VA_1B_NAME:
        from lab.fixtures.random_sa2va import SA2VA_1B, write_random

        return write_random(SA2VA_1B, folder)
    from lab.fixtures.random_sam2 import write_random_tracker

    return write_random_tracker(name, folder)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _counts(text: str, what: str = "objects", most: int = 64) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1 or max(counts) > most:
        raise typer.BadParameter(f"Write numbers of {what} with commas between, e.g. 1,3; each 1 to {most}.")
    return counts
