"""The loss terms of stages `vision`, `grounding` and `decoder`, and the auxiliary heads that some of them
need.

    dense class loss       category and colour of every patch                  vision tower, SAM-2's map
    language-model loss    weighted cross entropy of the answers' tokens       language model
    heat-map loss          a `[SEG]`'s prompt embedding against patches        language model, vision tower
    token position loss    image tokens regress their positional embedding     language model
    prompt class loss      category and colour from a prompt embedding         language model
    attention supervision  attention of answers to the right image tokens      last layers
    localisation loss      centre of the attended object from hidden states    last layer
    correspondence loss    attention to the same object in earlier images      first layers
    displacement loss      motion of objects from image tokens                 middle layer
    prompt position loss   a prompt embedding against positional embeddings    text_hidden_fcs
    mask loss              dice + BCE of masks, L1 of predicted IoU            SAM-2, text_hidden_fcs

Names of shapes are those of `batches`: B scenes, N `[SEG]`s, S tokens, E channels of prompt embeddings. A
term is a scalar, 0 where a batch has no target of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.grounding.model import ImageFeatures, LanguageModelOutput, SaModel
from engines.grounding.structure import Expressions
from lab.training.batches import IGNORE_INDEX, MASK_SIDE, TASK_KINDS, GroundingBatch, ImageBatch
from lab.training.names import NAMES
from lab.training.nano_config import SIDE_PX
from lab.training.structure_losses import MaskPredictions
from lab.training.task_mixture import WINDOW
from lab.training.world.named_colours import REAL_COLOURS

ATTENTION_LAYERS = 2
"Number of last layers with attention supervision."
CORRESPONDENCE_LAYERS = 2
"Number of first layers with the correspondence loss."
SUPERVISED_HEADS = 2
"Number of first heads with either, in each of these layers; other heads are free."
ATTENDED_COVERAGE = 0.2
"Image tokens whose cell is covered by more than this share are right to attend to."
MASKS_PER_SCENE = 4
"Most masks that are decoded per scene; more would add little about the same image."
LANGUAGE_WEIGHT = 3.0
"Weight of the language-model loss, of which the decisive tokens are a small part."
MIN_DISPLACEMENT = 0.02
"Displacements, as shares of the image, count in the metric from this on."


class DenseClassHead(nn.Module):
    """Logits of category and colour, background included, of every cell of a map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.category = nn.Linear(width, 1 + len(NAMES))
        self.colour = nn.Linear(width, 1 + len(REAL_COLOURS))


class PromptClassHead(nn.Module):
    """Logits of category and colour of a prompt embedding's object."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.category = nn.Linear(width, len(NAMES))
        self.colour = nn.Linear(width, len(REAL_COLOURS))


class AuxiliaryHeads(nn.Module):
    """Heads of loss terms; they are not exported."""

    def __init__(self, vision_width: int, language_width: int, prompt_width: int) -> None:
        super().__init__()
        self.patch_classes = DenseClassHead(vision_width)
        "On the vision tower's patches."
        self.map_classes = DenseClassHead(prompt_width)
        "On SAM-2's stride-16 map: classes have to be linearly separable for a prompt to select one."
        self.prompt_classes = PromptClassHead(prompt_width)
        """On prompt embeddings: they have to contain what was found, not what was asked for. The mask decoder
        learns colours long before categories and sides."""
        self.token_position = nn.Linear(language_width, prompt_width)
        """On the image tokens that enter the language model. Without it they lose their positions, and no
        expression of place is learnt."""
        self.localisation = nn.Linear(language_width, 2)
        "On hidden states with supervised attention: x, y of the object, -1..1."
        self.displacement = nn.Linear(language_width, 2 * (len(WINDOW) - 1))
        "On image tokens in the middle layer, so that later layers can attend to motion."
        self.prompt_position = nn.Linear(prompt_width, prompt_width, bias=False)
        "From a prompt embedding to the positional embedding of its object."
        nn.init.eye_(self.prompt_position.weight)
        self.heat_map = nn.Linear(vision_width, prompt_width)
        self.heat_map_bias = nn.Parameter(torch.tensor(-2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """A loss of a batch with metrics."""

    value: Tensor
    "Scalar."
    metrics: dict[str, float]
    "Sums and counts, see `trainer.Metrics`."


Term = tuple[Tensor, dict[str, float]]
"""A weighted term, scalar, and its metrics."""


# --- losses of the stages -------------------------------------------------------------------------


def vision_loss(model: SaModel, heads: AuxiliaryHeads, batch: ImageBatch) -> Loss:
    """Return the dense class loss of the vision tower."""
    patches = model.encode_images(batch.pixels).patches
    return Loss(*dense_class_loss(heads.patch_classes, patches, batch.categories, batch.colours))


def grounding_loss(model: SaModel, heads: AuxiliaryHeads, batch: GroundingBatch) -> tuple[Loss, Expressions]:
    """Return the sum of all terms but prompt position and masks, and the phrases of the N `[SEG]`s."""
    features = model.encode_images(batch.pixels)
    output = model.prefill(features.tokens, batch.packed, output_internals=True)
    segs = batch.segs
    expressions = model.expressions(output.hidden, segs.rows, segs.begins, segs.seg)
    prompts = expressions.seg
    terms = [
        dense_class_loss(heads.patch_classes, features.patches, batch.categories, batch.colours),
        language_model_loss(model, output, batch),
        heat_map_loss(heads, features, prompts, batch),
        token_position_loss(model, heads, features, batch),
        prompt_class_loss(heads, prompts, batch),
        (0.5 * attention_loss(output, batch), {}),
        localisation_loss(heads, output, batch),
        correspondence_loss(output, batch),
        displacement_loss(heads, output, batch),
    ]
    total = torch.stack([term for term, _ in terms]).sum()
    return Loss(total, {name: value for _, metrics in terms for name, value in metrics.items()}), expressions


def segmenter_maps(model: SaModel, pixels: Tensor) -> tuple[Tensor, ...]:
    """Return SAM-2's maps (`SaModel.feature_maps`) of images (B, 3, S, S) for the vision tower."""
    resized = functional.interpolate(pixels, size=(SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)
    return model.feature_maps(resized)


def mask_loss(
    model: SaModel,
    heads: AuxiliaryHeads,
    maps: tuple[Tensor, ...],
    expressions: Expressions,
    batch: GroundingBatch,
) -> tuple[Loss, MaskPredictions]:
    """Return dice + BCE of the decoder's masks, L1 of predicted IoU and the map's dense class loss.

    maps: SAM-2's of the last image of each scene, strides 4, 8, 16. expressions: of the N `[SEG]`s. The
    first MASKS_PER_SCENE `[SEG]`s of a scene are decoded; their predictions are returned, too.

    All three masks of the multimask output have the same target: a phrase is not ambiguous as a click is.
    Trained on the best of three only, the decoder offered three different objects whatever the phrase.
    """
    chosen, rows, columns = _first_segs(batch)
    last = slice(batch.images_per_scene - 1, None, batch.images_per_scene)
    classes, class_metrics = dense_class_loss(
        heads.map_classes, maps[2].flatten(2).transpose(1, 2), batch.categories[last], batch.colours[last]
    )
    scenes = len(batch.packed.ids)
    table = scatter(expressions[chosen], rows * MASKS_PER_SCENE + columns, scenes * MASKS_PER_SCENE)
    masks, quality = model.decode_masks(maps, table.seg.view(scenes, MASKS_PER_SCENE, -1), table)
    masks, quality = masks[rows, columns].float(), quality[rows, columns].float()
    predictions = MaskPredictions(
        features=maps[2][rows],
        prompts=expressions.seg[chosen],
        logits=masks,
        quality=quality,
        truth=batch.segs.masks[chosen],
    )
    target = predictions.truth[:, None].expand_as(masks)
    bce = functional.binary_cross_entropy_with_logits(masks, target, reduction="none").mean(dim=(-1, -2))
    each = 5 * bce + dice_loss(masks.sigmoid(), target)
    with torch.no_grad():
        true_iou = iou(masks > 0, target > 0.5)
    total = _mean(each) + _mean((quality - true_iou).abs()) + classes
    best = true_iou.gather(1, quality.argmax(dim=1, keepdim=True)).squeeze(1)
    metrics = {f"map_{name}": value for name, value in class_metrics.items()}
    return Loss(total, metrics | {"j": float(best.sum()), "j/n": float(len(best))}), predictions


def scatter(expressions: Expressions, rows: Tensor, count: int) -> Expressions:
    """Copy the expressions of N objects to `rows` (N,) int64 of `count`; the other rows are all padding."""
    parts = (expressions.tokens, expressions.valid, expressions.seg)
    return Expressions(*(part.new_zeros(count, *part.shape[1:]).index_copy(0, rows, part) for part in parts))


def _first_segs(batch: GroundingBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return the indices of the first MASKS_PER_SCENE `[SEG]`s of all scenes, their scenes, and their numbers
    within the scene: (K,) int64 each."""
    rows = batch.segs.rows
    numbers = (rows[:, None] == rows[None, :]).tril(-1).sum(dim=1)
    chosen = (numbers < MASKS_PER_SCENE).nonzero()[:, 0]
    return chosen, rows[chosen], numbers[chosen]


# --- terms ----------------------------------------------------------------------------------------


def dense_class_loss(heads: DenseClassHead, cells: Tensor, categories: Tensor, colours: Tensor) -> Term:
    """Cross entropy of category and colour of every cell; background has half the weight, unknown cells none.

    cells: (B, G' * G', C); labels of another grid are sampled. categories, colours: (B, G, G) int64, as in
    `GroundingBatch`. The metrics are accuracies
    on cells of objects.
    """
    total = cells.new_zeros(())
    metrics: dict[str, float] = {}
    for name, head, truth in (("category", heads.category, categories), ("colour", heads.colour, colours)):
        logits = head(cells).flatten(0, 1)
        labels = _sampled(truth, round(cells.shape[1] ** 0.5)).flatten()
        each, is_object = functional.cross_entropy(logits, labels, reduction="none"), labels > 0
        total = total + _mean(each[is_object]) + 0.5 * _mean(each[labels == 0])
        right = (logits[is_object].argmax(dim=1) == labels[is_object]).sum()
        metrics |= {name: float(right), f"{name}/n": float(is_object.sum())}
    return total, metrics


def language_model_loss(model: SaModel, output: LanguageModelOutput, batch: GroundingBatch) -> Term:
    """Weighted cross entropy of the answers' tokens; metrics: accuracy on decisive tokens by kind of task."""
    answers = batch.answers
    logits = model.token_logits(output.hidden[answers.rows, answers.positions])
    each = functional.cross_entropy(logits, answers.ids, reduction="none")
    right = logits.argmax(dim=1) == answers.ids
    metrics: dict[str, float] = {}
    for index, kind in enumerate(TASK_KINDS):
        own = answers.kinds == index
        metrics |= {f"answer_{kind}": float(right[own].sum()), f"answer_{kind}/n": float(own.sum())}
    return LANGUAGE_WEIGHT * (each * answers.weights).sum() / answers.weights.sum(), metrics


def heat_map_loss(
    heads: AuxiliaryHeads, features: ImageFeatures, prompts: Tensor, batch: GroundingBatch
) -> Term:
    """BCE + dice of the similarity of prompt embeddings (N, E) to the patches of the last image.

    The metric `hit` is the share of prompts whose most similar patch is covered by the object.
    """
    last = features.patches[batch.images_per_scene - 1 :: batch.images_per_scene]
    keys = heads.heat_map(last)[batch.segs.rows]
    logits = (keys @ prompts[:, :, None])[..., 0] / keys.shape[-1] ** 0.5 + heads.heat_map_bias
    target = _pool_cells(batch.segs.masks, round(keys.shape[1] ** 0.5))
    bce = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=1)
    weighted = _mean(bce / target.sum(dim=1).clamp(min=1))
    dice = _mean(dice_loss(logits.sigmoid()[:, None], target[:, None]))
    hit = target.gather(1, logits.argmax(dim=1, keepdim=True)) > 0.3
    return 0.5 * weighted + dice, {"hit": float(hit.sum()), "hit/n": float(len(hit))}


def token_position_loss(
    model: SaModel, heads: AuxiliaryHeads, features: ImageFeatures, batch: GroundingBatch
) -> Term:
    """Squared error of image tokens as predictors of SAM-2's positional embedding of their cells.

    The metric is the mean absolute error.
    """
    codes = model.segmenter.get_image_wide_positional_embeddings()
    truth = functional.adaptive_avg_pool2d(codes, batch.image_side).flatten(2).transpose(1, 2)
    # Normalised, as the language model's first layer does: the norm of a token is free.
    tokens = functional.layer_norm(features.tokens, features.tokens.shape[-1:])
    error = heads.token_position(tokens) - truth
    mean_error = float(error.detach().abs().mean())
    return 2 * error.square().mean(), {"token_position_error": mean_error, "token_position_error/n": 1.0}


def prompt_class_loss(heads: AuxiliaryHeads, prompts: Tensor, batch: GroundingBatch) -> Term:
    """Cross entropy of category and colour from prompt embeddings (N, E), where the objects have only one."""
    total = prompts.new_zeros(())
    metrics: dict[str, float] = {}
    pairs = (
        ("prompt_category", heads.prompt_classes.category, batch.segs.categories),
        ("prompt_colour", heads.prompt_classes.colour, batch.segs.colours),
    )
    for name, head, truth in pairs:
        labelled = truth != IGNORE_INDEX
        logits, labels = head(prompts[labelled]), truth[labelled]
        total = total + _mean(functional.cross_entropy(logits, labels, reduction="none"))
        metrics |= {name: float((logits.argmax(dim=1) == labels).sum()), f"{name}/n": float(len(labels))}
    return total, metrics


def attention_loss(output: LanguageModelOutput, batch: GroundingBatch) -> Tensor:
    """Mean of -log of the share of attention to the last image that is on the target (supervision)."""
    side, start, targets = batch.image_side, batch.image_starts[-1], batch.attention
    right = (_pool_cells(targets.masks, side) > ATTENDED_COVERAGE).float()
    total = output.hidden.new_zeros(())
    for layer in output.attentions[-ATTENTION_LAYERS:]:
        paid = layer[targets.rows, :SUPERVISED_HEADS, targets.positions, start : start + side * side]
        share = (paid * right[:, None]).sum(dim=-1) / paid.sum(dim=-1).clamp(min=1e-6)
        total = total - _mean(share.clamp(min=1e-4).log())
    return total / ATTENTION_LAYERS


def localisation_loss(heads: AuxiliaryHeads, output: LanguageModelOutput, batch: GroundingBatch) -> Term:
    """L1 of the centre of the target, from the hidden state with supervised attention.

    The metric is the mean error along x or y, as a share of the image. Without this term the `[SEG]` state
    had the object's classes but not its position: a linear probe found none after 2,300 steps, though it
    found 98 % of image tokens' positions.
    """
    targets = batch.attention
    share = targets.masks / targets.masks.sum(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    along = torch.linspace(-1, 1, MASK_SIDE, device=share.device)
    truth = torch.stack([(share.sum(dim=1) * along).sum(dim=1), (share.sum(dim=2) * along).sum(dim=1)], dim=1)
    states = output.layer_inputs[-1][targets.rows, targets.positions]
    states = functional.layer_norm(states, states.shape[-1:])
    error = (heads.localisation(states).float() - truth).abs()
    metrics = {"centre_error": float(error.detach().sum()) / 4, "centre_error/n": float(len(error))}
    return 4 * _mean(error), metrics


def correspondence_loss(output: LanguageModelOutput, batch: GroundingBatch) -> Term:
    """Mean of -log of the share of an object token's attention to an earlier image that is on its object.

    Attention to the same object in earlier images gives tokens the object's displacement. The metric is the
    mean share.
    """
    now, *earlier = batch.image_starts[::-1]
    tokens = batch.image_side**2
    own = batch.objects[:, -1].flatten(1)
    shares = []
    for index, start in enumerate(earlier, start=2):
        same = (own[:, :, None] == batch.objects[:, -index].flatten(1)[:, None]) & (own >= 0)[:, :, None]
        scene, token = same.any(dim=2).nonzero(as_tuple=True)
        for layer in output.attentions[:CORRESPONDENCE_LAYERS]:
            paid = layer[scene, :SUPERVISED_HEADS, now + token, start : start + tokens]
            right = (paid * same[scene, token][:, None]).sum(dim=-1)
            shares.append((right / paid.sum(dim=-1).clamp(min=1e-6)).flatten())
    if not shares:
        return output.hidden.new_zeros(()), {}
    share = torch.cat(shares)
    metrics = {"correspondence": float(share.detach().sum()), "correspondence/n": float(len(share))}
    return 0.5 * -_mean(share.clamp(min=1e-4).log()), metrics


def displacement_loss(heads: AuxiliaryHeads, output: LanguageModelOutput, batch: GroundingBatch) -> Term:
    """Smooth L1 of the displacement of objects, from image tokens in the middle layer.

    The metric is the share of right directions, along x and y, of displacements above MIN_DISPLACEMENT.
    """
    if batch.images_per_scene == 1:
        return output.hidden.new_zeros(()), {}
    start, tokens = batch.image_starts[-1], batch.image_side**2
    middle = output.layer_inputs[len(output.layer_inputs) // 2][:, start : start + tokens]
    predicted = heads.displacement(functional.layer_norm(middle, middle.shape[-1:])).flatten()
    truth = batch.displacements.flatten()
    labelled = ~truth.isnan()
    predicted, truth = predicted[labelled].float(), truth[labelled]
    loss = _mean(functional.smooth_l1_loss(predicted, 4 * truth, reduction="none", beta=0.1))
    moved = truth.abs() > MIN_DISPLACEMENT
    right = (predicted[moved] > 0) == (truth[moved] > 0)
    return 4 * loss, {"direction": float(right.sum()), "direction/n": float(moved.sum())}


def prompt_position_loss(
    model: SaModel, heads: AuxiliaryHeads, prompts: Tensor, batch: GroundingBatch
) -> Tensor:
    """Cross entropy between similarities of prompts (N, E) to SAM-2's positional embeddings and the masks.

    A prompt embedding that contains its object's position, as that of a click does, is one that a mask
    decoder learns to use in hundreds of steps instead of thousands.
    """
    codes = model.segmenter.get_image_wide_positional_embeddings().flatten(2)[0]
    target = _pool_cells(batch.segs.masks, round(codes.shape[1] ** 0.5))
    scores = heads.prompt_position(prompts) @ codes / (codes.shape[0] / 8)
    share = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
    return _mean(functional.cross_entropy(scores.float(), share, reduction="none"))


# --- masks ----------------------------------------------------------------------------------------


def iou(masks: Tensor, truth: Tensor) -> Tensor:
    """Return intersection over union of (…, H, W) bool masks; 1 where both are empty."""
    both, either = (masks & truth).sum(dim=(-1, -2)), (masks | truth).sum(dim=(-1, -2))
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both, dtype=torch.float32))


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Return the dice loss, smoothed by 1, of each of (…, H, W) soft masks of 0..1."""
    both = 2 * (probability * truth).sum(dim=(-1, -2)) + 1
    return 1 - both / (probability.sum(dim=(-1, -2)) + truth.sum(dim=(-1, -2)) + 1)


def _pool_cells(masks: Tensor, side: int) -> Tensor:
    """(N, M, M) → (N, side * side): the mean of every cell; N may be 0."""
    count, size = masks.shape[0], masks.shape[-1] // side
    if size * side == masks.shape[-1]:
        return masks.reshape(count, side, size, side, size).mean(dim=(2, 4)).flatten(1)
    if not count:
        return masks.new_zeros(0, side * side)
    return functional.interpolate(masks[:, None], (side, side), mode="area").flatten(1)


def _sampled(labels: Tensor, side: int) -> Tensor:
    """(B, G, G) int64 → (B, side, side): the label at the centre of every cell."""
    if labels.shape[-1] == side:
        return labels
    centres = (torch.arange(side, device=labels.device) * 2 + 1) * labels.shape[-1] // (2 * side)
    return labels[:, centres][:, :, centres]


def _mean(each: Tensor) -> Tensor:
    """Return the mean; 0 of no elements."""
    return each.sum() / max(each.numel(), 1)
