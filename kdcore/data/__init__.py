"""Data sets, who sees which images of them, and random views in batches."""
