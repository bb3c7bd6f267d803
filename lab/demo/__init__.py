"""`saccade demo`: the service on a bundled clip whose ground truth is stored beside it.

    ground_truth.py  the clip's masks, and the objects that an expression refers to
    render_clip.py   draws clip and ground truth
    scorer.py        compares published results with the ground truth
    run.py           starts camera and service, asks the queries, reads the results

The scorer reads results from Redis as any consumer does; it has no other access to the service.
"""
