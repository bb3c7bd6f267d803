"""How nano's tracker is trained from scratch on drawn clips.

A clip's objects get their true mask on the first frame and are followed through the rest with the very
graphs that run in service (`engines/tracking/graphs.py`); the loss is on every followed frame. Clips
grow from 3 to 5 and 8 frames as the time goes; of those of 5 and 8 one step in three gives a second mask on
the way (a late answer). On every other step the masks given are as coarse as a grounder's. The learning rate
and the length of the clips follow the share of the budget spent. Seeds are `number * 10**6 + step`.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel

from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import TrackerWeights, save_tracker
from engines.tracking.compilation import compile_tracker
from lab.evaluation.tracking import TrackingScore, score_tracking
from lab.training.checkpoint import Progress
from lab.training.curriculum import Ladder
from lab.training.device import mixed_precision, training_device
from lab.training.init_weights import waken
from lab.training.nano_config import tracker_config
from lab.training.optimiser import Muon, Optimisers, split_parameters, warmed_cosine
from lab.training.prefetch import feed, painters_for
from lab.training.tracker_clips import coarse, draw_batch
from lab.training.trainable_tracker import Exercise, Follower, TrainedTracker
from lab.training.trainer import Course, Every, Figures, Run, Tell
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import UNLABELLED_LEVEL, Level
from lab.training.world.scenes import draw_clip

JUDGED_CLIPS: Final = 12
STRANGE_STEPS: Final = (1, 3)
"""Of every five steps, those that follow strangers: real things are nameless to a tracker, soft, and covered
with the same stuff as what is behind them."""
ABSENT_WEIGHT: Final = 2.0
"""Object-frames without the object are one in ten: each counts as this many more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerRun(Run):
    """One run of stage `tracker`."""

    clips: int = 4
    "Of a step, were they of 4 frames: more of shorter ones, fewer of longer ones, never less than 2."
    objects: int = 2
    "Objects of each clip."
    muon_rate: float = 0.0
    "Of the matrices; 0: AdamW teaches them too."
    adam_rate: float = 4e-4
    export_s: float = 600.0
    judge_s: float = 300.0
    "Time between two measurements on held-out clips."


def fresh_tracker(seed: int = 0) -> Sam2VideoModel:
    """Nano's tracker with weights to start from.

    Three things that cost hundreds of steps to learn are given at the start: features of
    deviation 1, marks of the mask as loud as the picture in a memory, and memory attention that
    looks at the place itself first (see `_look_near`).
    """
    torch.manual_seed(seed)
    model: Any = Sam2VideoModel(tracker_config())
    waken(model)
    with torch.no_grad():
        backbone = model.vision_encoder.backbone
        free = [backbone.pos_embed, backbone.pos_embed_window, model.memory_temporal_positional_encoding]
        free += [
            model.no_object_pointer,
            model.no_memory_embedding,
            model.occlusion_spatial_embedding_parameter,
        ]
        for parameter in free:
            nn.init.normal_(parameter, std=0.1)
        for conv in model.vision_encoder.neck.convs:
            conv.weight.mul_(0.35)
        encoder = model.memory_encoder
        encoder.feature_projection.weight.mul_(0.7)
        encoder.mask_downsampler.final_conv.weight.mul_(1.5)
        for block in encoder.memory_fuser.layers:
            block.scale.fill_(0.2)
        for layer in model.memory_attention.layers:
            _look_near(layer.cross_attn_image)
        model.mask_downsample.weight.fill_(1 / 16)
        # One set of positions in the published layout, two modules here.
        shared = model.shared_image_embedding.positional_embedding
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
    return model  # type: ignore[no-any-return]


def _look_near(attention: Any) -> None:
    """Make rotary attention prefer the place itself.

    With one constant b in the first of each rotated pair of query and key, the score of two places d
    apart is the sum of b² cos(θ d): highest at d = 0. Only the quick pairs (θ > 0.05 per place) tell
    near from far on a 16×16 map.
    """
    axis = attention.q_proj.weight.shape[0] // 2
    quick = torch.arange(0, 22, 2)
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.mul_(0.5)
        projection.bias[torch.cat([quick, axis + quick])] = 3.0


def loss_of(seen: list[tuple[Tensor, Tensor, Tensor]], masks: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Mask, presence and IoU losses over followed frames, and their means; masks as in `Batch`."""
    # (T-1, B, 64, 64), (T-1, B), (T-1, B)
    logits, iou, score = (torch.stack([entry[k].float() for entry in seen]) for k in range(3))
    truth = functional.avg_pool2d(masks[1:], 4)
    present = (truth.amax(dim=(2, 3)) > 0.5).float()
    probability = logits.sigmoid()
    binary = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    focal = (binary * (0.2 + (probability - truth).abs())).mean(dim=(2, 3))
    overlap = (probability * truth).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / ((probability + truth).sum(dim=(2, 3)) + 1)
    hit, drawn = truth > 0.5, logits.detach() > 0
    union = (hit | drawn).sum(dim=(2, 3)).clamp(min=1)
    real_iou = (hit & drawn).sum(dim=(2, 3)) / union
    count = present.sum().clamp(min=1)
    surprise = functional.binary_cross_entropy_with_logits(score, present, reduction="none")
    parts = {
        # Where the object is away every pixel belongs to something else: absence is taught by the mask too.
        "focal": focal.mean(),
        "dice": (dice * present).sum() / count,
        "iou": ((iou - real_iou).abs() * present).sum() / count,
        "presence": (surprise * (1 + ABSENT_WEIGHT * (1 - present))).mean(),
    }
    total = 10 * parts["focal"] + parts["dice"] + 0.2 * parts["iou"] + 0.5 * parts["presence"]
    figures = {name: float(value.detach()) for name, value in parts.items()}
    figures["j"] = float((real_iou * present).sum() / count)
    return total, figures


def train_tracker(run: TrackerRun, tell: Tell) -> None:
    """Train until the budget is spent; call again to go on after an interruption."""
    device = training_device()
    tracker = TrainedTracker(fresh_tracker(run.number)).to(device)
    follower = Follower(tracker, _optimisers(tracker.model, run))
    ladder = Ladder(run.levels, run.gate)
    course = Course(run, follower.parts | {"ladder": ladder}, tell)
    judging = Every(run.judge_s, course.progress.spent_s)
    # Asked for a few steps ahead, with the level and the share of the budget that hold then.
    orders = ((step, run.share(course.progress), ladder.level) for step in course.steps())
    exercises = feed(partial(_draw, run), orders, painters_for(device))

    def take_step(progress: Progress) -> Figures:
        if judging.strikes(progress.spent_s):
            score = judge(follower.average, ladder.level)
            course.tell(asdict(score) | {"rung": ladder.rung})
            ladder.judged(score.j)
        return follower.learn(learn_all, next(exercises), rate_at(run.share(progress), progress.step))

    course.run(take_step, partial(save_tracker, follower.average))


def judge(model: Sam2VideoModel, level: Level) -> TrackingScore:
    """Quality on a few held-out clips of a level, through the tracker that the service uses: on the CPU."""
    weights = TrackerWeights("training", deepcopy(model).cpu())
    backend = TorchBackend(torch.get_num_threads())
    seeds = range(VALIDATION_SEED, VALIDATION_SEED + JUDGED_CLIPS)
    clips = (draw_clip(seed, frames=12, stride=3.0, level=level) for seed in seeds)
    return score_tracking(compile_tracker(weights, backend), clips)


def rate_at(share: float, step: int) -> float:
    """Share of the peak rate: 50 steps of warm-up, then a cosine down to 2 % of it."""
    return warmed_cosine(share, step, warm_steps=50, floor=0.02)


def _draw(run: TrackerRun, order: tuple[int, float, Level]) -> Exercise:
    """Clips of a step at a share 0..1 of the budget."""
    step, share, level = order
    length = 3 if share < 0.15 else 4 if share < 0.3 else 8 if step // 2 % 4 == 0 else 5
    # Two steps in eight, so that of the long clips, too, half begin from a true mask (`draw_exercise`).
    # Longer clips, fewer of them: a step costs about the same.
    clips = max(2, round(run.clips * 4 / (length + 0.5)))
    return draw_exercise(run.number, step, (clips, run.objects, length), level)


def draw_exercise(number: int, step: int, shape: tuple[int, int, int], level: Level) -> Exercise:
    """Clips, objects of each, frames far apart; on some steps strangers, on some with a late prompt."""
    if step % 5 in STRANGE_STEPS:
        level = UNLABELLED_LEVEL
    seed = number * 10**6 + step
    generator = torch.Generator().manual_seed(seed)
    length = shape[2]
    batch = draw_batch(seed, shape, level)
    roughness = 0.0 if step % 2 else 0.12
    prompts = {0: coarse(batch.masks[0], roughness, generator) if step % 2 == 0 else batch.masks[0]}
    if length > 4 and step % 3 == 0:
        late = 2 + step % (length - 3)
        mask = coarse(batch.masks[late], roughness, generator)
        if mask.flatten(1).any(dim=1).all():  # nobody gives an empty one
            prompts[late] = mask
    return Exercise(batch, prompts)


def learn_all(tracker: TrainedTracker, exercise: Exercise) -> Figures:
    """Follow and gather gradients through all frames at once; all on the tracker's device."""
    frames, masks = exercise.clips.frames, exercise.clips.masks
    with mixed_precision(frames.device):
        seen = tracker.follow(frames, exercise.prompts)
    loss, figures = loss_of(seen, masks)
    loss.backward()  # type: ignore[no-untyped-call]
    return {"loss": float(loss.detach()), "length": frames.shape[1], **figures}


def _optimisers(model: nn.Module, run: TrackerRun) -> Optimisers:
    matrices, others = split_parameters(model)
    if not run.muon_rate:
        matrices, others = [], [*matrices, *others]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=run.adam_rate, betas=(0.9, 0.98), weight_decay=0.01)
    ]
    if matrices:
        optimisers.append(Muon(matrices, lr=run.muon_rate))
    return Optimisers(optimisers, clipped=model.parameters())
