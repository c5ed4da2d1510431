"""Training: schedules, language models, classifiers and the bag-of-words line."""

TRAINING_VERSION = 10
"""Raised whenever the same settings would train different weights; part of every encoder's key."""
