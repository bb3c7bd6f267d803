"""Views of photographs: a crop of one, or of two side by side, with everything that is known of its objects.

A view is what language is made about (`PhotoDescription`), with its pixels. Everything is brought to the view
by one affine transform: masks, boxes, regions without labels, and what the detector saw where no mask is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.language.real_names import GARMENTS, NOUNS, WORN, canonical
from lab.training.scene_description import ObjectLabel, PhotoDescription, Vocabulary
from lab.training.world.camera import Affine, Image
from lab.training.world.named_colours import REAL_COLOURS, UNMEASURED, MeasuredColour, measure_colour
from lab.training.world.photographs import BoxPx, MaskAnnotation, Photograph, warp_image

PHOTO_KINDS: Final = (
    "kind",
    "both",
    "clothing",
    "place",
    "size",
    "plural",
    "negation",
    "ordinal",
    "relation",
)
"Kinds of expressions about photographs."
_COVERED: Final = 0.3
"A detection is of what has a mask if masks of its category fill this share of its box."
_SEEN: Final = 0.1
"A region counts in a view from this share of itself on ..."
_MIN_DOUBT: Final = 0.002
"... or from this share of the view on."
_NOTICED: Final = 0.12
"Of the largest labelled person's box: clothes of smaller people without a mask are not noticed."
_MAX_IGNORED: Final = 0.005
"Of a view: where more is without labels, nothing is sure."
_INSIDE: Final = 0.8
"A garment belongs to a person whose mask holds this share of it."
COLOURLESS: Final = frozenset(
    (
        *("person", "zebra", "giraffe", "elephant", "potted plant", "traffic light"),
        *("tv", "laptop", "cell phone", "book", *NOUNS["food"].certain),
    )
)
"Categories that nobody tells apart by colour; a person has the colour of the clothes."
_UNDECISIVE: Final = NOUNS["shoes"].certain
"Garments that do not decide the colour that a person is in."


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PhotoView(PhotoDescription):
    """A view with its pixels."""

    frames: NDArray[np.uint8]
    "(1, H, W, 3) RGB."
    unlabelled: NDArray[np.bool_]
    "(H, W): where it is not known what is there."


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One object in a view."""

    category: str
    mask: NDArray[np.bool_]
    area_px: float
    box_px: NDArray[np.float64]
    "x0, y0, x1, y1 of the whole object."
    instance: bool
    colour: MeasuredColour


@dataclass(frozen=True, eq=False)
class _Whole:
    """A photograph with decoded masks."""

    photograph: Photograph

    @cached_property
    def masks(self) -> list[tuple[MaskAnnotation, NDArray[np.uint8]]]:
        return [(each, self.photograph.read_mask(each)) for each in self.photograph.masks]

    @cached_property
    def unmasked(self) -> list[tuple[str, BoxPx]]:
        """Detections of what has no mask: category and box."""
        found = []
        for detection in self.photograph.detections:
            category = canonical(detection.category)
            if category is not None and not self._is_masked(category, detection.box_px):
                found.append((category, detection.box_px))
        return found

    def _is_masked(self, category: str, box_px: BoxPx) -> bool:
        x, y, width, height = box_px
        columns, rows = slice(max(int(x), 0), int(x + width) + 1), slice(max(int(y), 0), int(y + height) + 1)
        filled = np.zeros(self.photograph.size, np.uint8)[rows, columns]
        for annotation, mask in self.masks:
            if _alike(canonical(annotation.category), category):
                filled = filled | mask[rows, columns]
        return float(np.count_nonzero(filled)) >= _COVERED * width * height


def _is_large(person_px: BoxPx, photograph: Photograph) -> bool:
    """Whether a person without a mask is so large beside those with one that clothes would be noticed."""
    labelled = [mask.box_px for mask in photograph.masks if mask.category == "person"]
    largest = max((box[2] * box[3] for box in labelled), default=0.0)
    return person_px[2] * person_px[3] > _NOTICED * largest


@cache
def _alike(category: str | None, detected: str) -> bool:
    """Whether a detection may be of an object with that label."""
    return category is not None and any(
        detected in noun.certain and category in noun.categories and len(noun.certain) <= 2
        for noun in NOUNS.values()
    )


def view_of(
    photograph: Photograph,
    transform: Affine,
    size: tuple[int, int],
    labelled_by_source: Mapping[str, frozenset[str]],
) -> PhotoView | None:
    """Describe what a photograph shows under a transform to an image of (height, width).

    `labelled_by_source`: names that a source annotates at all. The vocabulary has no nouns yet, see
    `with_nouns`. Returns None where no named object is in view.
    """
    whole = _Whole(photograph)
    image = warp_image(photograph.read(), transform, size)
    parts = _parts(whole, image, transform)
    if not parts:
        return None
    unlabelled = np.zeros(size, np.bool_)
    doubted: set[str] = set()
    if photograph.ignore is not None:
        unlabelled |= _warp_mask(photograph.decode(photograph.ignore), transform, size)
    if np.count_nonzero(unlabelled) > _MAX_IGNORED * unlabelled.size:
        doubted |= {category for noun in NOUNS.values() for category in noun.certain}
    for crowd in photograph.crowds:
        region = _warp_mask(photograph.read_mask(crowd), transform, size)
        if region.any():
            unlabelled |= region
            doubted |= {canonical(crowd.category) or ""}
    removed = labelled_by_source.get(photograph.source, frozenset()) - photograph.labelled
    explained = {category for category, _ in whole.unmasked}
    doubted |= {name for name in map(canonical, removed) if name and name not in explained}
    for category, box_px in whole.unmasked:
        box = _clipped(_moved_box(box_px, transform), size)
        if _counts(box, box_px, transform, size):
            doubted.add(category)
            if category == "person" and _is_large(box_px, photograph):
                doubted |= WORN
            x0, y0, x1, y1 = (round(float(value)) for value in box)
            unlabelled[y0:y1, x0:x1] = True
    names = labelled_by_source.get(photograph.source, frozenset()) | photograph.labelled
    known = frozenset(name for name in map(canonical, names) if name)
    return _assemble(image, parts, unlabelled, known, frozenset(doubted))


def side_by_side(left: PhotoView, right: PhotoView) -> PhotoView:
    """Join two views of equal height; only what is known of both is known of the pair."""
    width = left.frames.shape[2]
    padded = [
        _padded_masks(left, 0, right.frames.shape[2]),
        _padded_masks(right, width, 0),
    ]
    shift = np.array([width, 0], np.float32)
    count = len(left.labels)
    occluded = np.zeros((1, count + len(right.labels), count + len(right.labels)), np.float32)
    centres = np.concatenate([left.centres_px, np.asarray(right.centres_px + shift, np.float32)], axis=1)
    return PhotoView(
        labels=(*left.labels, *right.labels),
        masks=np.concatenate(padded, axis=1),
        amodal_area_px=np.concatenate([left.amodal_area_px, right.amodal_area_px], axis=1),
        occluded_px=occluded,
        centres_px=centres,
        boxes_px=np.concatenate([left.boxes_px, right.boxes_px + np.tile(shift, 2)], axis=1),
        world_centres_px=centres,
        step_s=left.step_s,
        vocabulary=left.vocabulary,
        instance=(*left.instance, *right.instance),
        excluded_colours=(*left.excluded_colours, *right.excluded_colours),
        wearers=(*left.wearers, *(k + count if k >= 0 else -1 for k in right.wearers)),
        dressed=left.dressed | {person + count for person in right.dressed},
        known=left.known & right.known,
        doubted=left.doubted | right.doubted,
        frames=np.concatenate([left.frames, right.frames], axis=2),
        unlabelled=np.concatenate([left.unlabelled, right.unlabelled], axis=1),
    )


def with_nouns(view: PhotoView, nouns: tuple[str, ...]) -> PhotoView:
    """Return the view with the nouns that texts about it may use."""
    return replace(view, vocabulary=replace(view.vocabulary, categories=nouns))


def labelled_by_source(photographs: Sequence[Photograph]) -> dict[str, frozenset[str]]:
    """Return the names that each source annotates; of single photographs some may be taken out."""
    found: dict[str, frozenset[str]] = {}
    for photograph in photographs:
        found[photograph.source] = found.get(photograph.source, frozenset()) | photograph.labelled
    return found


# --- parts of a view ------------------------------------------------------------------------------


def _parts(whole: _Whole, image: Image, transform: Affine) -> list[_Part]:
    """Return what is in view, persons first, then by area: a part comes after what it may lie on."""
    size = image.shape[:2]
    scale = abs(float(np.linalg.det(transform[:, :2])))
    found = []
    for annotation, mask in whole.masks:
        category = canonical(annotation.category)
        visible = _warp_mask(mask, transform, size)
        if category is None or not (visible.any() or category in WORN):
            continue
        colour = UNMEASURED
        if category not in COLOURLESS and (annotation.instance or category in WORN):
            colour = measure_colour(image, visible)
        found.append(
            _Part(
                category=category,
                mask=visible,
                area_px=annotation.area_px * scale,
                box_px=_moved_box(annotation.box_px, transform),
                instance=annotation.instance,
                colour=colour,
            )
        )
    if not any(part.mask.any() for part in found):
        return []
    return sorted(found, key=lambda part: (part.category in WORN, part.category != "person", -part.area_px))


def _assemble(
    image: Image,
    parts: Sequence[_Part],
    unlabelled: NDArray[np.bool_],
    known: frozenset[str],
    doubted: frozenset[str],
) -> PhotoView:
    masks = np.stack([part.mask for part in parts])
    boxes = np.stack([part.box_px for part in parts]).astype(np.float32)
    centres = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
    # Garments are annotated either on every person that has a mask or on none.
    people = [index for index, part in enumerate(parts) if part.category == "person"]
    dressed = frozenset(people if known & set(GARMENTS) else ())
    wearers = tuple(_wearer(part, masks, sorted(dressed)) for part in parts)
    colours = [
        _clothes_colour(image, parts, wearers, index) if index in dressed else part.colour
        for index, part in enumerate(parts)
    ]
    return PhotoView(
        labels=tuple(
            ObjectLabel(part.category, colour.name) for part, colour in zip(parts, colours, strict=True)
        ),
        masks=masks[None],
        amodal_area_px=np.array([[max(part.area_px, 1.0) for part in parts]], np.float32),
        occluded_px=np.zeros((1, len(parts), len(parts)), np.float32),
        centres_px=centres[None],
        boxes_px=boxes[None],
        world_centres_px=centres[None],
        step_s=1.0,
        vocabulary=Vocabulary((), REAL_COLOURS, PHOTO_KINDS, templates_per_meaning=9),
        instance=tuple(part.instance for part in parts),
        excluded_colours=tuple(colour.excluded for colour in colours),
        wearers=wearers,
        dressed=dressed,
        known=known,
        doubted=doubted - {""},
        frames=image[None],
        unlabelled=unlabelled & ~masks.any(axis=0),
    )


def _wearer(part: _Part, masks: NDArray[np.bool_], people: Sequence[int]) -> int:
    """Return the index of the person on whom a part lies; -1 for none."""
    if part.category not in WORN or not people:
        return -1
    if not part.mask.any():
        return people[0] if len(people) == 1 else -1
    shares = [float((masks[person] & part.mask).sum() / part.mask.sum()) for person in people]
    best = int(np.argmax(shares))
    return people[best] if shares[best] >= _INSIDE else -1


def _clothes_colour(
    image: Image, parts: Sequence[_Part], wearers: Sequence[int], person: int
) -> MeasuredColour:
    worn = [
        part.mask
        for part, wearer in zip(parts, wearers, strict=True)
        if wearer == person and part.category in GARMENTS and part.category not in _UNDECISIVE
    ]
    return measure_colour(image, np.logical_or.reduce(worn)) if worn else UNMEASURED


# --- geometry -------------------------------------------------------------------------------------


def _warp_mask(mask: NDArray[np.uint8], transform: Affine, size: tuple[int, ...]) -> NDArray[np.bool_]:
    soft = cv2.warpAffine(mask * 255, transform, (size[1], size[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(soft > 127, np.bool_)


def _moved_box(box_px: BoxPx, transform: Affine) -> NDArray[np.float64]:
    """Return x0, y0, x1, y1 of a box after a transform without rotation."""
    x, y, width, height = box_px
    corners = np.array([[x, y, 1], [x + width, y + height, 1]]) @ np.asarray(transform, np.float64).T
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _clipped(box: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    return np.clip(box, 0, [size[1], size[0]] * 2)


def _counts(box: NDArray[np.float64], whole_px: BoxPx, transform: Affine, size: tuple[int, int]) -> bool:
    """Whether enough of a box (clipped to the view) is in view to matter."""
    area = float((box[2] - box[0]) * (box[3] - box[1]))
    whole = whole_px[2] * whole_px[3] * abs(float(np.linalg.det(transform[:, :2])))
    return area > min(_SEEN * whole, _MIN_DOUBT * size[0] * size[1])


def _padded_masks(view: PhotoView, before: int, after: int) -> NDArray[np.bool_]:
    return np.pad(view.masks, ((0, 0), (0, 0), (0, 0), (before, after)))
