"""How models are made and measured. Imports the product; no product package imports it.

training/     data, losses and recipes that make nano and tune larger checkpoints
evaluation/   quality: expressions, tracks, answers, captions, real clips, live streams
benchmarks/   speed and memory, against baselines
demo/         `saccade demo`: the bundled clip, its ground truth, and the score of a run
fixtures/     an RTSP server, cameras, an isolated service, checkpoints with random weights
cli/          the commands demo, eval, bench and train
plotting.py   the common style of plots
"""
