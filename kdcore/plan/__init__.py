"""Recipe -> plan: which stages there are, under which keys, at what cost. No torch."""
