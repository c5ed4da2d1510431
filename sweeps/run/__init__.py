"""What runs a sweep: launch, the trial of a worker, the encoder store."""
