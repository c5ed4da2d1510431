"""What a person sees while a sweep runs: where it stands, in a terminal or as lines."""
