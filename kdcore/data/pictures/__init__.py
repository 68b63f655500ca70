"""A person's own pictures: hostile until checked, and decoded in a process of their own with limits."""
