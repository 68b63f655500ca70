"""One input of a person's own: made into what a network sees, disturbed, and answered by every variant. No torch."""
