"""`saccade demo`: the service on a bundled clip whose ground truth is known."""
