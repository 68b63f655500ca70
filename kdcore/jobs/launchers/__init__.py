"""Where workers run. A worker needs the workspace and a run's id, and nothing else."""
