"""Draw the results of `saccade track` on their clip, with Roboflow's package supervision.

pip install '.[examples]'
saccade track clip.mp4 --query "the red car" --out out/
python examples/overlay_supervision.py clip.mp4 out/results.jsonl drawn.mp4

`detections` converts one result; results of the Redis stream `saccade:{STREAM}:frames` have the same form.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from pycocotools import mask as coco


def detections(result: Mapping[str, Any]) -> sv.Detections:
    """Return the visible tracks of a `saccade.frame/1` result: boxes, masks, scores, track ids, phrases."""
    tracks = [track for track in result["tracks"] if track["mask"]]
    if not tracks:
        return sv.Detections.empty()
    return sv.Detections(
        xyxy=np.array([track["box_px"] for track in tracks], np.float32),
        mask=np.array([coco.decode(track["mask"]) for track in tracks]).astype(bool),
        confidence=np.array([track["score"] for track in tracks], np.float32),
        class_id=np.zeros(len(tracks), int),
        tracker_id=np.array([track["track_id"] for track in tracks]),
        data={"phrase": np.array([track["phrase"] for track in tracks])},
    )


def main(clip: str, results: str, out: str) -> None:
    """Write `out`: the clip with masks, outlines and labels. `results` has one line for each frame."""
    fill = sv.MaskAnnotator(color_lookup=sv.ColorLookup.TRACK)
    outline = sv.PolygonAnnotator(color_lookup=sv.ColorLookup.TRACK)
    label = sv.LabelAnnotator(color_lookup=sv.ColorLookup.TRACK)
    lines = Path(results).read_text().splitlines()
    with sv.VideoSink(out, sv.VideoInfo.from_video_path(clip)) as sink:
        for image, line in zip(sv.get_video_frames_generator(clip), lines, strict=False):
            found = detections(json.loads(line))
            drawn = outline.annotate(fill.annotate(image.copy(), found), found)
            phrases = found.data.get("phrase", ())
            ids = () if found.tracker_id is None else found.tracker_id
            texts = [f"#{track_id} {phrase}" for track_id, phrase in zip(ids, phrases, strict=True)]
            sink.write_frame(label.annotate(drawn, found, texts))


if __name__ == "__main__":
    main(*sys.argv[1:4])
