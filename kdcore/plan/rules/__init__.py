"""What a Recipe must keep to, checked before anything runs. No torch."""
