"""The workspace on disk: runs, models, their states, and the index over them. No torch."""
