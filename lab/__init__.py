"""How models are made and measured. Imports the product; no product package imports it.

training/     data, losses and recipes that make nano and tune larger checkpoints
evaluation/   quality: masks, words, tracks, captions, live streams
benchmarks/   speed and memory, against what users would pick instead
demo/         the bundled clip, its ground truth, and the judge of `saccade demo`
fixtures/     an RTSP server, cameras, and checkpoints with random weights, for the above and for tests
cli/          the commands demo, eval, bench and train
"""
