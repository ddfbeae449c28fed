"""What instruments write: families of runs, their facts, when a run is complete."""
