"""Who teaches whom, and when: one file a scheme."""
