"""What a deployed file is worth: its quality, size, cost and layers; its speed in timing sessions."""
