"""`saccade demo`: the service on a clip whose masks are known, or on a source of one's own.

    scenes.py           the clips that can be played
    footage.py          downloads the real one
    reference_masks.py  makes the real one's masks from boxes placed by hand
    render_clip.py      draws the drawn one, with its masks
    ground_truth.py     a clip's masks, and the objects that an expression refers to
    scorer.py           compares published results with the ground truth
    run.py              starts camera and service, asks the queries, reads the results

The scorer reads results from Redis as any consumer does; it has no other access to the service.
"""
