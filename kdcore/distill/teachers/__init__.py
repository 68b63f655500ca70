"""Where a teacher comes from: one file a source."""
