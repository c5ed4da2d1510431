"""Advice: what to collect next, made from what was found."""
