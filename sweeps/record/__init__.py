"""What is shown while a sweep runs: records mirrored as runs of a tracking server."""
