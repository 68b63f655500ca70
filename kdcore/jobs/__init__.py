"""Runs as jobs: the queue, its dispatcher, workers, and where they are launched."""
