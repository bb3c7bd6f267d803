"""Draw tracks on frames, for `saccade track`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from engines.masks import decode_mask
from streaming.vocabulary import Pixels, Track, TrackState

PALETTE = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
)
"RGB. The palette of Okabe and Ito (2008), which stays distinct with colour vision deficiencies."

_FILL = 0.45
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def colour_of(track_id: int) -> tuple[int, int, int]:
    """Return the RGB colour of a track id; seven colours in rotation."""
    return PALETTE[(track_id - 1) % len(PALETTE)]


def draw(pixels: Pixels, tracks: Sequence[Track]) -> Pixels:
    """Return a copy of an (H, W, 3) uint8 RGB frame with the tracks' masks tinted, outlined and labelled."""
    image = pixels.copy()
    shown = [track for track in tracks if track.mask is not None and track.state is not TrackState.ENDED]
    for track in shown:
        assert track.mask is not None
        mask = decode_mask(track.mask)
        colour = np.array(colour_of(track.track_id), np.float32)
        image[mask] = (image[mask] * (1 - _FILL) + colour * _FILL).astype(np.uint8)
        outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(image, outline, -1, colour_of(track.track_id), 2, cv2.LINE_AA)
    for track in shown:
        _label(image, track)
    return image


def drawable(phrase: str) -> str:
    """Return the phrase in the letters of OpenCV's font, which is ASCII; empty if it has other letters.

    Accents are left out, and so are emoji, symbols and punctuation that the font lacks.
    """
    shown = [char for char in unicodedata.normalize("NFKD", phrase) if not unicodedata.combining(char)]
    if any(char.isalnum() and not char.isascii() for char in shown):
        return ""
    return " ".join("".join(char for char in shown if char.isascii()).split())


def _label(image: Pixels, track: Track) -> None:
    if track.box_px is None:
        return
    text = f"{drawable(track.phrase)} #{track.track_id} {track.score:.2f}".strip()
    scale = max(0.4, image.shape[0] / 900)
    (width, height), baseline = cv2.getTextSize(text, _FONT, scale, 1)
    x = int(np.clip(track.box_px[0], 0, max(0, image.shape[1] - width - 6)))
    y = int(max(track.box_px[1] - 4, height + baseline + 2))
    cv2.rectangle(
        image, (x, y - height - baseline), (x + width + 6, y + 2), colour_of(track.track_id), cv2.FILLED
    )
    dark = sum(colour_of(track.track_id)) < 384
    ink = (255, 255, 255) if dark else (0, 0, 0)
    cv2.putText(image, text, (x + 3, y - baseline + 2), _FONT, scale, ink, 1, cv2.LINE_AA)
