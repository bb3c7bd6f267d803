"""What the grounder is taught: see (dense), look (attention), point (heat), speak (answers), draw
(masks)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.grounding.model import Look, Reading, SaModel
from engines.training.mixture import GRID, Batch
from engines.training.world.colours import COLOURS
from engines.training.world.things import KINDS

ATTENDING_LAYERS = 2
"Attention is guided in this many last layers ..."
ATTENDING_HEADS = 2
"... and in this many first heads of each; the others are free."

DRAWN = 4
"Masks drawn per picture."


class Naming(nn.Module):
    """Names the kind and the colour of every cell of a map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind = nn.Linear(width, 1 + len(KINDS))
        self.colour = nn.Linear(width, 1 + len(COLOURS))


class Describing(nn.Module):
    """Names the kind and the colour of the thing that a prompt means."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind = nn.Linear(width, len(KINDS))
        self.colour = nn.Linear(width, len(COLOURS))


class Helpers(nn.Module):
    """Heads that exist only while training."""

    def __init__(self, patch_width: int, prompt_width: int) -> None:
        super().__init__()
        self.patches = Naming(patch_width)
        "On the vision tower."
        self.map = Naming(prompt_width)
        "On SAM-2's coarse map: what it must tell apart to be pointed at."
        self.prompt = Describing(prompt_width)
        "On the prompt: it must say what was found, not what was said; the mask decoder sees colours long"
        "before it sees kinds and sides."
        self.place = nn.Linear(prompt_width, prompt_width)
        "On the language model's image tokens: where am I? Without it they forget, and no word finds a side."
        self.point = nn.Linear(prompt_width, prompt_width, bias=False)
        "From a prompt to the code of the place where it points."
        nn.init.eye_(self.point.weight)
        self.heat = nn.Linear(patch_width, prompt_width)
        self.heat_bias = nn.Parameter(torch.tensor(-2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """The loss of one batch, and how well it went."""

    loss: Tensor
    figures: dict[str, float]
    "Sums and counts by name; a rate is `name` over `name/n`."


def reading_lesson(model: SaModel, helpers: Helpers, batch: Batch) -> tuple[Lesson, Look, Tensor]:
    """Everything but drawing. Also returns the look and the prompt embeddings (B, K, E) for the drawing
    lesson."""
    look = model.look(batch.pixels)
    reading = model.read(look.tokens, batch.packed, attentions=True)
    rows = torch.arange(len(batch.seg), device=batch.seg.device)[:, None]
    prompts = model.embeddings(reading.hidden[rows, batch.seg])
    seeing, figures = _dense(helpers.patches, look.patches, batch)
    speaking, spoken = _answers(model, reading, batch)
    pointing, pointed = _heat(helpers, look, prompts, batch)
    knowing, known = _place(model, helpers, look, batch)
    telling, told = _describe(helpers, prompts, batch)
    loss = seeing + speaking + pointing + knowing + telling + 0.5 * _attention(reading, batch)
    return Lesson(loss, figures | spoken | pointed | known | told), look, prompts


def drawing_lesson(
    model: SaModel, helpers: Helpers, maps: tuple[Tensor, ...], prompts: Tensor, batch: Batch
) -> Lesson:
    """Dice + BCE of the decoder's three masks, and its own estimate of how good they are.

    All three are taught the same: words leave no doubt which thing is meant. Taught the best of three only,
    as clicks are, the decoder learns to offer three things whatever was said.

    The first `DRAWN` present things of each picture are drawn; more would teach little more of the same
    picture.
    """
    drawn = (~batch.present).int().argsort(dim=1, stable=True)[:, :DRAWN]
    rows = torch.arange(len(drawn), device=drawn.device)[:, None]
    there = batch.present[rows, drawn]
    seeing, seen = _dense(helpers.map, maps[2].flatten(2).transpose(1, 2), batch)
    masks, quality = model.segment(maps, prompts[rows, drawn])
    masks, quality = masks[there].float(), quality[there].float()
    target = batch.masks[rows, drawn][there][:, None].expand_as(masks)
    bce = functional.binary_cross_entropy_with_logits(masks, target, reduction="none").mean(dim=(-1, -2))
    each = 5 * bce + _dice(masks.sigmoid(), target)
    with torch.no_grad():
        overlap = iou(masks > 0, target > 0.5)
    loss = _mean(each) + _mean((quality - overlap).abs()) + seeing
    chosen = overlap.gather(1, quality.argmax(dim=1, keepdim=True)).squeeze(1)
    figures = {f"map_{name}": value for name, value in seen.items()}
    return Lesson(loss, figures | {"j": float(chosen.sum()), "j/n": float(len(chosen))})


def placing_loss(model: SaModel, helpers: Helpers, prompts: Tensor, batch: Batch) -> Tensor:
    """Cross entropy between where a prompt (B, K, E) points, in SAM-2's position codes, and what is meant.

    A prompt that carries its place as a click does is one that a mask decoder learns to follow in hundreds of
    steps, not thousands.
    """
    codes = model.segmenter.get_image_wide_positional_embeddings().flatten(2)[0]
    target = functional.adaptive_avg_pool2d(batch.masks, round(codes.shape[1] ** 0.5)).flatten(2)[
        batch.present
    ]
    scores = helpers.point(prompts[batch.present]) @ codes / (codes.shape[0] / 8)
    share = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
    return _mean(functional.cross_entropy(scores.float(), share, reduction="none"))


def iou(found: Tensor, true: Tensor) -> Tensor:
    """Intersection over union of (…, H, W) bool masks; 1 where both are empty."""
    both, either = (found & true).sum(dim=(-1, -2)), (found | true).sum(dim=(-1, -2))
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both, dtype=torch.float32))


def _mean(each: Tensor) -> Tensor:
    """The mean; 0 of nothing, as where nothing of a batch is present."""
    return each.sum() / max(each.numel(), 1)


def _dice(found: Tensor, true: Tensor) -> Tensor:
    both = 2 * (found * true).sum(dim=(-1, -2)) + 1
    return 1 - both / (found.sum(dim=(-1, -2)) + true.sum(dim=(-1, -2)) + 1)


def _dense(heads: Naming, cells: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Name kind and colour of every cell (B, G * G, C); the rate is told of things only, ground is easy."""
    total = cells.new_zeros(())
    figures: dict[str, float] = {}
    for name, head, truth in (("kind", heads.kind, batch.kinds), ("colour", heads.colour, batch.colours)):
        logits, labels = head(cells).flatten(0, 1), truth.flatten()
        each, thing = functional.cross_entropy(logits, labels, reduction="none"), labels > 0
        total = total + _mean(each[thing]) + 0.5 * _mean(each[~thing])
        right = (logits[thing].argmax(dim=1) == labels[thing]).sum()
        figures |= {f"{name}": float(right), f"{name}/n": float(thing.sum())}
    return total, figures


def _answers(model: SaModel, reading: Reading, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    hidden = reading.hidden[batch.answer_rows, batch.answer_places]
    logits = model.mllm.lm_head(hidden)
    each = functional.cross_entropy(logits, batch.answer_ids, reduction="none")
    first = (batch.answer_places[:, None] == batch.decided[batch.answer_rows]).any(dim=1)
    right = (logits[first].argmax(dim=1) == batch.answer_ids[first]).view_as(batch.present)
    figures = {
        "present": float(right[batch.present].sum()),
        "present/n": float(batch.present.sum()),
        "absent": float(right[~batch.present].sum()),
        "absent/n": float((~batch.present).sum()),
    }
    return _mean(each[first]) + 0.2 * _mean(each[~first]), figures


def _heat(helpers: Helpers, look: Look, prompts: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    keys = helpers.heat(look.patches)
    logits = prompts @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5 + helpers.heat_bias
    target = functional.avg_pool2d(batch.masks, batch.masks.shape[-1] // GRID).flatten(2)
    logits, target = logits[batch.present], target[batch.present]
    bce = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=1)
    weighted = _mean(bce / target.sum(dim=1).clamp(min=1))
    dice = _mean(_dice(logits.sigmoid()[:, None], target[:, None]))
    hit = target.gather(1, logits.argmax(dim=1, keepdim=True)) > 0.3
    return 0.5 * weighted + dice, {"hit": float(hit.sum()), "hit/n": float(len(hit))}


def _place(model: SaModel, helpers: Helpers, look: Look, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Every image token says the code that SAM-2 has for its place; the mean absolute error is told."""
    codes = model.segmenter.get_image_wide_positional_embeddings()
    truth = functional.adaptive_avg_pool2d(codes, batch.image_side).flatten(2).transpose(1, 2)
    # The language model's own first step: tokens as long as they like, only their direction is read.
    error = helpers.place(functional.layer_norm(look.tokens, look.tokens.shape[-1:])) - truth
    return 2 * error.square().mean(), {"place": float(error.detach().abs().mean()), "place/n": 1.0}


def _describe(helpers: Helpers, prompts: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    told = prompts[batch.present]
    kind, colour = batch.meant_kind[batch.present], batch.meant_colour[batch.present]
    kinds, colours = helpers.prompt.kind(told), helpers.prompt.colour(told)
    loss = functional.cross_entropy(kinds, kind, reduction="none") + functional.cross_entropy(
        colours, colour, reduction="none"
    )
    figures = {
        "told_kind": float((kinds.argmax(dim=1) == kind).sum()),
        "told_kind/n": float(len(kind)),
        "told_colour": float((colours.argmax(dim=1) == colour).sum()),
        "told_colour/n": float(len(colour)),
    }
    return _mean(loss), figures


def _attention(reading: Reading, batch: Batch) -> Tensor:
    """Minus log of the share of a deciding row's attention to the picture that falls on what is meant."""
    side, start = batch.image_side, batch.image_start
    target = functional.avg_pool2d(batch.masks, batch.masks.shape[-1] // side).flatten(2)
    meant = (target > 0.2).float()[batch.present]
    row = batch.present.nonzero()[:, 0]
    total = reading.hidden.new_zeros(())
    for layer in reading.attentions[-ATTENDING_LAYERS:]:
        for places in (batch.decided, batch.seg):
            paid = layer[row, :ATTENDING_HEADS, places[batch.present], start : start + side * side]
            share = (paid * meant[:, None]).sum(dim=-1) / paid.sum(dim=-1).clamp(min=1e-6)
            total = total - _mean(share.clamp(min=1e-4).log())
    return total / (2 * ATTENDING_LAYERS)
