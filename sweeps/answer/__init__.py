"""What a sweep found: records become rows, statistics, figures and a report."""
