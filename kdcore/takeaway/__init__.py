"""What leaves the workspace as one file that works without it."""
