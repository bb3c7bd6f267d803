"""What the grounder is taught: see (dense), look (attention), point (heat), speak (answers), draw
(masks)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.grounding.model import ImageFeatures, LanguageModelOutput, SaModel
from engines.grounding.structure import Expressions
from lab.training.batches import GRID, GROUPS, MASK_SIDE, NOTHING, Batch, Pictures
from lab.training.structure_losses import Drawn
from lab.training.task_mixture import WINDOW
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS

ATTENDING_LAYERS = 2
"Attention is guided in this many last layers ..."
TRACING_LAYERS = 2
"In this many first layers things are to find themselves in earlier pictures ..."
ATTENDING_HEADS = 2
"... both with this many first heads of each layer; the others are free."

DRAWN = 4
"Masks drawn per scene; more would teach little more of the same picture."
SEEN_IN_CELL = 0.2
"What covers this share of an image token's cell is seen by it."
SPEAKING = 3.0
"Weight of the language model's own loss, of which a decision is a small part."
STILL = 0.02
"Shifts (pictures) are told of as moved from this on."


class Naming(nn.Module):
    """Names the kind and the colour of every cell of a map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind = nn.Linear(width, 1 + len(CATEGORIES))
        self.colour = nn.Linear(width, 1 + len(COLOURS))


class Describing(nn.Module):
    """Names the kind and the colour of the thing that a prompt means."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind = nn.Linear(width, len(CATEGORIES))
        self.colour = nn.Linear(width, len(COLOURS))


class Helpers(nn.Module):
    """Heads that exist only while training."""

    def __init__(self, patch_width: int, reader_width: int, prompt_width: int) -> None:
        super().__init__()
        self.patches = Naming(patch_width)
        "On the vision tower."
        self.map = Naming(prompt_width)
        "On SAM-2's coarse map: what it must tell apart to be pointed at."
        self.prompt = Describing(prompt_width)
        "On the prompt: it must say what was found, not what was said; the mask decoder sees colours long"
        "before it sees kinds and sides."
        self.place = nn.Linear(reader_width, prompt_width)
        "On the language model's image tokens: where am I? Without it they forget, and no word finds a side."
        self.where = nn.Linear(reader_width, 2)
        "On the language model's states that look at something: where is that?"
        self.shift = nn.Linear(reader_width, 2 * (len(WINDOW) - 1))
        "On the language model's image tokens half-way through: where has this been? So words can ask."
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


def seeing_lesson(model: SaModel, helpers: Helpers, pictures: Pictures) -> Lesson:
    """To name what every patch shows."""
    patches = model.encode_images(pictures.pixels).patches
    return Lesson(*_dense(helpers.patches, patches, pictures.kinds, pictures.colours))


def reading_lesson(model: SaModel, helpers: Helpers, batch: Batch) -> tuple[Lesson, Expressions]:
    """Everything but drawing. Also returns what was said of the N pointings, for the drawing lesson."""
    look = model.encode_images(batch.pixels)
    reading = model.prefill(look.tokens, batch.packed, output_internals=True)
    pointings = batch.pointings
    words = model.expressions(reading.hidden, pointings.rows, pointings.begins, pointings.seg)
    prompts = words.seg
    parts = [
        _dense(helpers.patches, look.patches, batch.kinds, batch.colours),
        _say(model, reading, batch),
        _heat(helpers, look, prompts, batch),
        _place(model, helpers, look, batch),
        _describe(helpers, prompts, batch),
        (0.5 * _attention(reading, batch), {}),
        _where(helpers, reading, batch),
        _trace(reading, batch),
        _shift(helpers, reading, batch),
    ]
    loss = torch.stack([part for part, _ in parts]).sum()
    return Lesson(loss, {name: value for _, figures in parts for name, value in figures.items()}), words


def drawing_lesson(
    model: SaModel, helpers: Helpers, maps: tuple[Tensor, ...], words: Expressions, batch: Batch
) -> tuple[Lesson, Drawn]:
    """Dice + BCE of the decoder's three masks, and its own estimate of how good they are.

    All three are taught the same: words leave no doubt which thing is meant. Taught the best of three only,
    as clicks are, the decoder learns to offer three things whatever was said.

    `maps` are of the last picture of each scene, `words` of the batch's pointings. Also returns what was
    drawn.
    """
    chosen, *places = _places(batch)
    kinds, colours = (dense[batch.pictures - 1 :: batch.pictures] for dense in (batch.kinds, batch.colours))
    seeing, seen = _dense(helpers.map, maps[2].flatten(2).transpose(1, 2), kinds, colours)
    table = words[chosen].scatter(places[0] * DRAWN + places[1], len(batch.packed.ids) * DRAWN)
    prompts = table.seg.view(len(batch.packed.ids), DRAWN, -1)
    masks, quality = model.decode_masks(maps, prompts, table)
    masks, quality = masks[*places].float(), quality[*places].float()
    drawn = Drawn(
        features=maps[2][places[0]],
        prompts=words.seg[chosen],
        logits=masks,
        quality=quality,
        truth=batch.pointings.masks[chosen],
    )
    target = drawn.truth[:, None].expand_as(masks)
    bce = functional.binary_cross_entropy_with_logits(masks, target, reduction="none").mean(dim=(-1, -2))
    each = 5 * bce + _dice(masks.sigmoid(), target)
    with torch.no_grad():
        overlap = iou(masks > 0, target > 0.5)
    loss = _mean(each) + _mean((quality - overlap).abs()) + seeing
    trusted = overlap.gather(1, quality.argmax(dim=1, keepdim=True)).squeeze(1)
    figures = {f"map_{name}": value for name, value in seen.items()}
    return Lesson(loss, figures | {"j": float(trusted.sum()), "j/n": float(len(trusted))}), drawn


def _places(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Which pointings are drawn, the first `DRAWN` of every scene; the scene and the turn of each."""
    rows = batch.pointings.rows
    turns = (rows[:, None] == rows[None, :]).tril(-1).sum(dim=1)
    few = (turns < DRAWN).nonzero()[:, 0]
    return few, rows[few], turns[few]


def placing_loss(model: SaModel, helpers: Helpers, prompts: Tensor, batch: Batch) -> Tensor:
    """Cross entropy between where a prompt (N, E) points, in SAM-2's position codes, and what is meant.

    A prompt that carries its place as a click does is one that a mask decoder learns to follow in hundreds of
    steps, not thousands.
    """
    codes = model.segmenter.get_image_wide_positional_embeddings().flatten(2)[0]
    target = _cells(batch.pointings.masks, round(codes.shape[1] ** 0.5))
    scores = helpers.point(prompts) @ codes / (codes.shape[0] / 8)
    share = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
    return _mean(functional.cross_entropy(scores.float(), share, reduction="none"))


def iou(found: Tensor, true: Tensor) -> Tensor:
    """Intersection over union of (…, H, W) bool masks; 1 where both are empty."""
    both, either = (found & true).sum(dim=(-1, -2)), (found | true).sum(dim=(-1, -2))
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both, dtype=torch.float32))


def _cells(masks: Tensor, side: int) -> Tensor:
    """(N, M, M) → (N, side * side): the mean over every cell; N may be 0."""
    count, size = masks.shape[0], masks.shape[-1] // side
    return masks.reshape(count, side, size, side, size).mean(dim=(2, 4)).flatten(1)


def _mean(each: Tensor) -> Tensor:
    """The mean; 0 of nothing, as where nothing of a batch is present."""
    return each.sum() / max(each.numel(), 1)


def _dice(found: Tensor, true: Tensor) -> Tensor:
    both = 2 * (found * true).sum(dim=(-1, -2)) + 1
    return 1 - both / (found.sum(dim=(-1, -2)) + true.sum(dim=(-1, -2)) + 1)


Told = tuple[Tensor, dict[str, float]]
"""A part of the loss and its figures."""


def _dense(heads: Naming, cells: Tensor, kinds: Tensor, colours: Tensor) -> Told:
    """Name kind and colour of every cell (B, G * G, C); the rate is told of things only, ground is easy."""
    total = cells.new_zeros(())
    figures: dict[str, float] = {}
    for name, head, truth in (("kind", heads.kind, kinds), ("colour", heads.colour, colours)):
        logits, labels = head(cells).flatten(0, 1), truth.flatten()
        each, thing = functional.cross_entropy(logits, labels, reduction="none"), labels > 0
        total = total + _mean(each[thing]) + 0.5 * _mean(each[~thing])
        right = (logits[thing].argmax(dim=1) == labels[thing]).sum()
        figures |= {f"{name}": float(right), f"{name}/n": float(thing.sum())}
    return total, figures


def _say(model: SaModel, reading: LanguageModelOutput, batch: Batch) -> Told:
    answers = batch.answers
    logits = model.token_logits(reading.hidden[answers.rows, answers.places])
    each = functional.cross_entropy(logits, answers.ids, reduction="none")
    right = logits.argmax(dim=1) == answers.ids
    figures: dict[str, float] = {}
    for index, group in enumerate(GROUPS):
        own = answers.groups == index
        figures |= {f"said_{group}": float(right[own].sum()), f"said_{group}/n": float(own.sum())}
    return SPEAKING * (each * answers.weights).sum() / answers.weights.sum(), figures


def _heat(helpers: Helpers, look: ImageFeatures, prompts: Tensor, batch: Batch) -> Told:
    last = look.patches[batch.pictures - 1 :: batch.pictures]
    keys = helpers.heat(last)[batch.pointings.rows]
    logits = (keys @ prompts[:, :, None])[..., 0] / keys.shape[-1] ** 0.5 + helpers.heat_bias
    target = _cells(batch.pointings.masks, GRID)
    bce = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=1)
    weighted = _mean(bce / target.sum(dim=1).clamp(min=1))
    dice = _mean(_dice(logits.sigmoid()[:, None], target[:, None]))
    hit = target.gather(1, logits.argmax(dim=1, keepdim=True)) > 0.3
    return 0.5 * weighted + dice, {"hit": float(hit.sum()), "hit/n": float(len(hit))}


def _place(model: SaModel, helpers: Helpers, look: ImageFeatures, batch: Batch) -> Told:
    """Every image token says the code that SAM-2 has for its place; the mean absolute error is told."""
    codes = model.segmenter.get_image_wide_positional_embeddings()
    truth = functional.adaptive_avg_pool2d(codes, batch.image_side).flatten(2).transpose(1, 2)
    # The language model's own first step: tokens as long as they like, only their direction is read.
    error = helpers.place(functional.layer_norm(look.tokens, look.tokens.shape[-1:])) - truth
    return 2 * error.square().mean(), {"place": float(error.detach().abs().mean()), "place/n": 1.0}


def _describe(helpers: Helpers, prompts: Tensor, batch: Batch) -> Told:
    """The prompt says what it found, where that has one kind or one colour."""
    total = prompts.new_zeros(())
    figures: dict[str, float] = {}
    pairs = (
        ("told_kind", helpers.prompt.kind, batch.pointings.kinds),
        ("told_colour", helpers.prompt.colour, batch.pointings.colours),
    )
    for name, head, truth in pairs:
        sure = truth != NOTHING
        logits, labels = head(prompts[sure]), truth[sure]
        total = total + _mean(functional.cross_entropy(logits, labels, reduction="none"))
        figures |= {name: float((logits.argmax(dim=1) == labels).sum()), f"{name}/n": float(len(labels))}
    return total, figures


def _attention(reading: LanguageModelOutput, batch: Batch) -> Tensor:
    """Minus log of the share of a gaze's attention to the picture that falls on what is to be looked at."""
    side, start, gazes = batch.image_side, batch.image_starts[-1], batch.gazes
    wanted = (_cells(gazes.masks, side) > SEEN_IN_CELL).float()
    total = reading.hidden.new_zeros(())
    for layer in reading.attentions[-ATTENDING_LAYERS:]:
        paid = layer[gazes.rows, :ATTENDING_HEADS, gazes.places, start : start + side * side]
        share = (paid * wanted[:, None]).sum(dim=-1) / paid.sum(dim=-1).clamp(min=1e-6)
        total = total - _mean(share.clamp(min=1e-4).log())
    return total / ATTENDING_LAYERS


def _where(helpers: Helpers, reading: LanguageModelOutput, batch: Batch) -> Told:
    """Who looks at something knows where it is; the mean error along x or y is told, in pictures.

    Without it nothing but what a thing is reached `[SEG]`: of its place a linear probe found nothing there
    after 2,300 steps, though 98 % of every image token's.
    """
    gazes = batch.gazes
    share = gazes.masks / gazes.masks.sum(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    along = torch.linspace(-1, 1, MASK_SIDE, device=share.device)
    truth = torch.stack([(share.sum(dim=1) * along).sum(dim=1), (share.sum(dim=2) * along).sum(dim=1)], dim=1)
    states = reading.layer_inputs[-1][gazes.rows, gazes.places]
    error = (helpers.where(functional.layer_norm(states, states.shape[-1:])).float() - truth).abs()
    return 4 * _mean(error), {"where": float(error.detach().sum()) / 4, "where/n": float(len(error))}


def _trace(reading: LanguageModelOutput, batch: Batch) -> Told:
    """Minus log of the share of a token's attention to an earlier picture that falls on the same thing.

    What has found itself there knows how far it came. The mean share is told.
    """
    now, *earlier = batch.image_starts[::-1]
    tokens = batch.image_side**2
    mine = batch.owners[:, -1].flatten(1)
    shares = []
    for index, start in enumerate(earlier, start=2):
        same = (mine[:, :, None] == batch.owners[:, -index].flatten(1)[:, None]) & (mine >= 0)[:, :, None]
        scene, token = same.any(dim=2).nonzero(as_tuple=True)
        for layer in reading.attentions[:TRACING_LAYERS]:
            paid = layer[scene, :ATTENDING_HEADS, now + token, start : start + tokens]
            found = (paid * same[scene, token][:, None]).sum(dim=-1)
            shares.append((found / paid.sum(dim=-1).clamp(min=1e-6)).flatten())
    if not shares:
        return reading.hidden.new_zeros(()), {}
    share = torch.cat(shares)
    figures = {"traced": float(share.detach().sum()), "traced/n": float(len(share))}
    return 0.5 * -_mean(share.clamp(min=1e-4).log()), figures


def _shift(helpers: Helpers, reading: LanguageModelOutput, batch: Batch) -> Told:
    """Half-way through the language model an image token of a thing knows how far the thing came.

    The rate told is that of the directions, along x and y, of what clearly moved.
    """
    if batch.pictures == 1:
        return reading.hidden.new_zeros(()), {}
    start, tokens = batch.image_starts[-1], batch.image_side**2
    middle = reading.layer_inputs[len(reading.layer_inputs) // 2][:, start : start + tokens]
    said = helpers.shift(functional.layer_norm(middle, middle.shape[-1:])).flatten()
    truth = batch.shifts.flatten()
    known = ~truth.isnan()
    said, truth = said[known].float(), truth[known]
    loss = _mean(functional.smooth_l1_loss(said, 4 * truth, reduction="none", beta=0.1))
    moved = truth.abs() > STILL
    right = (said[moved] > 0) == (truth[moved] > 0)
    return 4 * loss, {"shift": float(right.sum()), "shift/n": float(moved.sum())}
