"""`saccade eval`: measure the models' quality on held-out scenes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.progress import Progress

from actors.cli.models import progress_bar
from actors.cli.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from engines.grounding.checkpoint_folder import checkpoint_folder
from engines.tracking.checkpoint_files import checkpoint_files
from lab.cli.eval_tables import eval_tables
from streaming.errors import ServiceUnavailable
from streaming.settings import Settings, load_settings

if TYPE_CHECKING:
    from lab.evaluation.live_clips import LiveClip
    from lab.evaluation.report import Model
    from lab.training.world.levels import Level

T = TypeVar("T")


def evaluate(
    model: Annotated[
        str,
        typer.Argument(help="nano, or a folder made by `saccade train`; the settings' models if left out."),
    ] = "",
    level: Annotated[
        str, typer.Option(help="Of the drawn world: its name; all, one after the other; or none.")
    ] = "world",
    scenes: Annotated[int, typer.Option(help="Held-out scenes of each set to ask about.", min=1)] = 200,
    clips: Annotated[int, typer.Option(help="Held-out clips of 4 s to track objects in.", min=1)] = 40,
    davis: Annotated[
        Path | None, typer.Option(help="Folder of real clips, <name>/frames/*.jpg and <name>/masks/*.png.")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of photographs with masks (COCO); those of split val are asked about."),
    ] = None,
    pictures: Annotated[
        int, typer.Option(help="Photographs to ask about; 0 for all of the split.", min=0)
    ] = 200,
    live: Annotated[int, typer.Option(help="Held-out clips to play as live cameras; 0 for none.", min=0)] = 8,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Measure the models' quality on held-out drawn scenes, real clips and photographs.

    Masks of referring expressions, by kind, on unseen scenes, on held-out
    combinations of colour and category, and among look-alikes; objects
    tracked from a first mask through clips in which they disappear and
    reappear; answers to questions; captions, whose phrases' masks must fit
    the objects that they name; expressions on live RTSP streams, whose
    masks must fit the frame that is current when they are published (needs
    go2rtc); with --davis objects tracked through real clips from their first
    mask, and found and tracked live from a phrase (phrases.json in the folder;
    there are phrases for six clips of DAVIS); with --photos referring
    expressions on photographs, by name and by kind.

    J&F is that of DAVIS: the mask's IoU (J) and its boundary's F-measure
    (F), 1 at best. The same command gives the same figures, but for
    live streams, which are as good as the machine is quiet. Some minutes on
    two quiet cores; with --level all, that for each level, live the last.

        saccade eval nano --json
        saccade eval nano --level plain --scenes 20 --clips 4
        saccade eval nano --level none --davis ~/davis
        saccade eval out/nano --level all --davis ~/davis --photos ~/photos
    """
    levels = _levels(level)
    from lab.evaluation.photo_referring import count_to_ask, photographs_to_ask, score_photographs
    from lab.evaluation.real_clips import find_real_clips, score_real_clips
    from lab.evaluation.real_live_clips import load_phrases, write_real_clips

    real_clips = find_real_clips(davis) if davis else []
    phrases = load_phrases(davis) if davis else {}
    photographs = count_to_ask(photos, pictures) if photos else 0
    settings = _with_models(model, load_settings(config))
    checkpoint_folder(settings.model), checkpoint_files(settings.tracker)
    # After these are found: it imports torch and transformers, which takes seconds.
    from lab.evaluation.live_clips import draw_live_clips
    from lab.evaluation.report import Sizes, score_level, to_json

    with err.status("Loading the models ..."):
        measured = _load_models(settings)
    found: dict[str, Any] = {"model": model or "settings", "levels": [], "footage": None}
    found |= {"photographs": None, "live": None, "live_footage": None}
    with progress_bar() as progress:

        def track(items: Iterable[T], part: str, total: int) -> Iterable[T]:
            return progress.track(items, total=total, description=part)

        for each in levels:
            found["levels"].append(to_json(score_level(measured, each, Sizes(scenes, clips), track)))
        if real_clips:
            tracked = track(real_clips, "real clips", len(real_clips))
            found["footage"] = to_json(score_real_clips(measured.tracker, tracked))
        if photos:
            asked = track(photographs_to_ask(photos, pictures), "photographs", photographs)
            found["photographs"] = to_json(score_photographs(measured.grounder, asked))
        if live and levels:
            found["live"] = _live(settings, partial(draw_live_clips, live, levels[-1]), progress)
        if live and real_clips:
            found["live_footage"] = _live(settings, partial(write_real_clips, real_clips, phrases), progress)
    print_json(found) if as_json else out.print(*eval_tables(found))


def _levels(name: str) -> tuple[Level, ...]:
    from lab.training.world.levels import CURRICULUM

    levels = {level.name: (level,) for level in CURRICULUM} | {"all": CURRICULUM, "none": ()}
    if name not in levels:
        raise typer.BadParameter(f"Choose one of {', '.join(levels)}.", param_hint="--level")
    return levels[name]


def _with_models(name: str, settings: Settings) -> Settings:
    """Return settings with the two models of a name or a folder; without a name, the settings' own."""
    if name == "nano":
        return settings.model_copy(update={"model": name, "tracker": name})
    if name:
        folder = Path(name).absolute()  # the service's processes have another working directory
        parts = {"model": str(folder / "sa2va"), "tracker": str(folder / "tracker")}
        return settings.model_copy(update=parts)
    return settings


def _load_models(settings: Settings) -> Model:
    from actors.engine_loading import load_compiled, load_grounder
    from lab.evaluation.report import Model

    return Model(load_grounder(settings), load_compiled(settings))


def _live(
    settings: Settings, make_clips: Callable[[Path], list[LiveClip]], progress: Progress
) -> dict[str, Any]:
    """Return the score of live streams, or the reason why it was left out.

    make_clips: writes the clips into a folder.
    """
    from actors.shutdown import run_stoppable
    from lab.evaluation.live import score_live
    from lab.evaluation.report import to_json
    from lab.fixtures.rtsp_camera import require_go2rtc

    try:
        require_go2rtc()
    except ServiceUnavailable as exc:
        return {"left_out": str(exc)}
    quiet = settings.model_copy(update={"log_level": "warning"})
    log_to_stderr(quiet)
    with tempfile.TemporaryDirectory(prefix="saccade-live-clips-") as folder:
        bar = progress.add_task("live clips", total=None)
        clips = make_clips(Path(folder))
        progress.update(bar, total=len(clips))
        score = run_stoppable(score_live(quiet, clips, lambda: progress.advance(bar)))
    if score is None:
        raise KeyboardInterrupt
    return to_json(score)
