"""Decides what to train next and remembers what happened: ask, record, answer."""
