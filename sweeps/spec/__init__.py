"""What is asked for: the spec as values, its cells, its meaning, its cost."""
