"""What comes next: ledger, studies and the searcher that Ray Tune asks."""
