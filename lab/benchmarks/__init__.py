"""Speed and memory of the whole service, of the tracker and of the grounder, against baselines.

    line.py           `saccade bench line`: the whole service on an RTSP camera
    load.py           `saccade bench load`: many queries on many streams
    load_queries.py   the load test's queries and their figures
    rates.py          frame rates, frame ages and drops of published results
    process_usage.py  CPU time and resident memory by process

    tracker.py        `saccade bench tracker`: the tracker against baselines
    candidates.py     the interface of what it times, and Saccade's tracker behind it
    baselines.py      transformers' video session and the package sam2
    tracker_clip.py   the clip that all track
    timing.py         times of a frame's parts, on CPU and GPU
    roofline.py       FLOPs of a frame and the device's peak
    tracker_plot.py   its plot

    hostile_camera.py `saccade bench camera`: a stream of a camera that misbehaves at random

    soak.py           `saccade bench soak`: memory on an endless stream
    endless_clip.py   that stream, and the trackers on it
    soak_plot.py      its plot
    grounder.py       `saccade bench grounder`: the grounder's shortcuts

Rules. What is compared runs in one process, alternately, after a warm-up; reports have medians or quantiles.
The service is the real one (`actors.service`): Ray, gateway, Redis, RTSP; its figures are read from outside.
Reports are dataclasses whose field names are the keys of `--json`: they do not change.
"""
