"""What a sweep found: records become rows, and rows numbers with their uncertainty."""
