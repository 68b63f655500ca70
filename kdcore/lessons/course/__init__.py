"""One file a lesson; each defines `LESSON`."""
