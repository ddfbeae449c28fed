"""Read models: what is on record of runs, as values and sentences, for the commands and the report."""
