"""Training: schedules, language models, classifiers and the bag-of-words line."""

TRAINING_VERSION = 11
"""Raised whenever the same settings would train different weights; part of every encoder's key."""
