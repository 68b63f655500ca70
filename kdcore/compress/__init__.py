"""Compression steps, one file each: (material, options) -> outcome, registered by name."""
