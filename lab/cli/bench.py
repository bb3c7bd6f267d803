"""`saccade bench`: speed and memory of the whole service, of the tracker and of the grounder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from actors.cli.tables import pairs_table
from actors.cli.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from engines.grounding.checkpoint_folder import checkpoint_folder
from lab.cli.bench_tables import bench_tables, boxes_table, grounder_tables, line_table, load_tables
from lab.fixtures.new_checkpoint import require_new
from lab.plotting import require_matplotlib
from streaming.settings import TrackerPrecision, load_settings

Plot = Annotated[Path | None, typer.Option(help="Write a plot, too, as this .svg.", dir_okay=False)]


def prepare_plot(plot: Path | None) -> None:
    """Before minutes of measuring: raise BackendUnavailable without matplotlib, make the plot's folder."""
    if plot is not None:
        require_matplotlib()
        plot.parent.mkdir(parents=True, exist_ok=True)


bench_app = typer.Typer(help="Measure how fast it is here.", no_args_is_help=True)

SA2VA_1B_NAME: Final = "sa2va-1b"

Objects = Annotated[str, typer.Option(help="Numbers of objects, e.g. 1,3.")]


@bench_app.command("line")
def bench_line_command(
    objects: Objects = "1,3",
    seconds: Annotated[float, typer.Option(help="To measure with each number of objects.", min=2)] = 20.0,
    edits: Annotated[int, typer.Option(help="Of a query, with each number of objects.", min=0)] = 12,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Time the whole line: a 60 fps camera over RTSP, the service as `saccade up` runs it, masks from Redis.

    Prints frames tracked per second, their age when they are published and when they have been read, dropped
    frames, the time from a query to its first mask, and the busy cores of each part. Camera and reader run
    on this machine too. Run it on a quiet one. Needs go2rtc (`make rtsp-server`).

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
    rounds: Annotated[int, typer.Option(help="Edits of every query; 0: one query alone.", min=0)] = 3,
    seconds: Annotated[float, typer.Option(help="Of tracking after every round.", min=1)] = 5.0,
    patience: Annotated[float, typer.Option(help="Seconds to wait for a mask.", min=1)] = 10.0,
    model: Annotated[str | None, typer.Option(help="`nano`, or the folder of a Sa2VA checkpoint.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Load test: many queries on many streams at once, beside one query on one stream.

    Prints how many revisions were answered and the time to their first mask, each stream's frame rate and
    frame age, both while queries were being answered and in between, the same with one camera stopped, the
    grounder's resident memory, and the busy cores of each part. Run it on a quiet machine. Needs
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
        int | None, typer.Option(help="Side of the model's input in pixels, e.g. 512; its own if left out.")
    ] = None,
    objects: Objects = "1,3",
    backend: Annotated[
        str,
        typer.Option(help="Saccade's, with commas between: auto, openvino, onnxruntime, torch, tensorrt."),
    ] = "auto",
    precision: Annotated[
        TrackerPrecision,
        typer.Option(help="Of Saccade; auto: the faster of float32 and bfloat16. int8 is made first."),
    ] = "auto",
    against: Annotated[
        str, typer.Option(help="Baselines, with commas between: transformers, sam2; '' for none.")
    ] = "transformers",
    frames: Annotated[int, typer.Option(help="Frames to time, after a warm-up.", min=2)] = 40,
    threads: Annotated[int, typer.Option(help="CPU threads of each.", min=1)] = 1,
    plot: Plot = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Time the tracker against baselines: same weights, frames, threads, one run, in alternating order.

    The baselines are transformers' video session and the official package sam2 (`make test` installs it),
    each in float32 and in bfloat16. The model is `nano`, the folder or official .pt file of a checkpoint, or
    the name of a published one, to be timed with random weights: sam2.1-tiny, -small, -base-plus, -large,
    the same of sam2, edgetam.

    Prints milliseconds per frame and of its parts (encode: image encoder; track: memory attention and mask
    decoder; remember: memory encoder), frames per second, the speed-up over each baseline's faster precision,
    the masks' IoU with its float32, the memory stored for a stream and its growth per frame, and the share of
    the device's peak FLOPs. A frame is timed from the source frame (sam2: from the model's input, since it
    resizes whole clips) to masks of its size. Where there is a GPU all of it is measured there, by events.
    Run it on a quiet machine.

        saccade bench tracker --json
        saccade bench tracker --model sam2.1-tiny --size 512 --objects 1,4,16 --against transformers,sam2
        saccade bench tracker --model sam2.1-tiny --size 512 --precision int8 --against transformers,sam2
        saccade bench tracker --model sam2.1-large --backend tensorrt --against sam2 --objects 1 --frames 200
    """
    counts = _counts(objects)
    prepare_plot(plot)
    from lab.benchmarks.tracker import BenchOptions, bench_tracker
    from lab.benchmarks.tracker_plot import plot_tracker

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
        plot.write_text(plot_tracker(report))


@bench_app.command("boxes")
def bench_boxes_command(
    model: Annotated[
        Path, typer.Argument(help="An official .pt file of SAM-2, or a file of its image weights alone.")
    ],
    davis: Annotated[Path, typer.Argument(help="Folder of clips, <name>/frames/*.jpg, <name>/masks/*.png.")],
    every: Annotated[
        int | None,
        typer.Option(help="One frame in so many of each clip; its first alone if left out.", min=1),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Compare every backend's masks of box prompts, on real weights, with the official package sam2's.

    Ground-truth boxes on frames of every clip; J of the masks on torch, ONNX Runtime, OpenVINO in float32, in
    bfloat16 and in int8 (where nncf is installed), and by the package (`make test` installs it), on frames
    resized as in Saccade and by itself; and the masks' IoU with its. Image weights alone are a .safetensors
    file with the official names: memories are not used. Takes minutes: graphs are compiled for every runtime.

        saccade bench boxes sam2.1_hiera_tiny.pt ~/davis --json
        saccade bench boxes sam2.1_hiera_tiny.pt ~/davis --every 12
    """
    from lab.evaluation.real_clips import find_real_clips

    settings = load_settings(config)
    clips = find_real_clips(davis)  # before torch is imported, which takes seconds
    from lab.evaluation.box_prompts import score_boxes
    from lab.fixtures.random_sam2 import bench_weights

    with err.status("Segmenting boxes ..."):
        rows = [asdict(row) for row in score_boxes(bench_weights(model), clips, every, settings.cache_dir)]
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
    """Time the grounder's three shortcuts: teacher forcing, a shared image prefix, batches of keyframes.

    Three tables. The first: "Sure, [SEG]." generated token by token, against the same answer teacher-forced
    in one prefill; for the language model alone, and from the image to the mask. The second: queries on one
    keyframe, each with its own prefill of the image, against all of them after one shared prefix. The third:
    keyframes of four streams in a batch, against one after the other. Both ways alternate in one run; times
    are medians. Run it on a quiet machine.

        saccade bench grounder
        saccade bench grounder --queries 1,8 --json
        saccade bench checkpoint sa2va-1b && saccade bench grounder --model sa2va-1b --repeats 2
    """
    counts = _counts(queries, "queries", most=16)
    checkpoint_folder(model)
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
    """Write a checkpoint of a published model's exact shape with random weights, to measure speed and memory.

    It loads and takes memory and time as the published model does; its answers mean nothing. Pass Sa2VA-1B to
    `saccade bench grounder --model`, or run the service on it: SACCADE_MODEL=FOLDER saccade up. A tracker is
    for SACCADE_TRACKER.

        saccade bench checkpoint sa2va-1b
        saccade bench checkpoint edgetam --of edgetam
        SACCADE_TRACKER=edgetam SACCADE_TRACKER_PX=512 SACCADE_MAX_TRACKS_PER_STREAM=1 \\
            saccade bench line --objects 1
    """
    with err.status("Writing random weights ..."):
        written = {"folder": str(folder), "parameters": _write_random(of, folder)}
    print_json(written) if as_json else out.print(pairs_table(written))


@bench_app.command("camera")
def bench_camera_command(
    seconds: Annotated[float, typer.Option(help="To read it.", min=1)] = 300.0,
    seed: Annotated[int, typer.Option(help="Of its faults.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Read a hostile RTSP camera: lost packets, stray bytes, wrong numbers, hang-ups and resets, at random.

    Prints the part of the time in which the stream was live, the longest time without a picture, and memory
    and file descriptors after a tenth of the time and at the end.

        saccade bench camera --seconds 1800 --seed 1 --json
    """
    from lab.benchmarks.hostile_camera import run_hostile_camera

    report = run_hostile_camera(seconds, seed, lambda status: err.print(status.state, status.reason))
    print_json(asdict(report)) if as_json else out.print(pairs_table(asdict(report)))


def _write_random(name: str, folder: Path) -> int:
    require_new(folder)
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
