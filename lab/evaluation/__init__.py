"""Quality of masks, tracks, answers and captions on held-out scenes, on real clips and on live streams.

    metrics.py             J, F and J&F of masks, as DAVIS defines them
    held_out.py            held-out scenes as keyframes
    referring.py           masks of expressions
    photo_referring.py     masks of expressions on photographs, by name and by kind
    answering.py           answers to questions
    describing.py          captions: phrases and their masks
    phrases.py             the objects that a caption's phrase can mean
    propagation.py         first masks propagated through a clip
    tracking.py            the tracker on drawn clips
    reappearance.py        drawn clips in which an object leaves and returns
    real_clips.py          the tracker on real clips with masks
    box_prompts.py         box prompts on real clips, on every backend and by the package sam2
    report.py              everything that `saccade eval` measures on a level of the drawn world
    live.py                the whole service on held-out clips played by an RTSP camera
    live_clips.py          those clips, with expressions and ground truth
    live_score.py          scores of what the service published
    answered_revisions.py  when each query revision was first answered

Rules. Only held-out seeds. Models are measured through the methods that the service calls. A scorer takes an
iterable, so that the caller can show progress. Scoring live streams begins after the service has stopped.
To add a measurement: write a scorer and add a field to `report.LevelScore`.
"""
