"""From a Recipe to models on disk: plan, execution, events, the workspace and its index."""
