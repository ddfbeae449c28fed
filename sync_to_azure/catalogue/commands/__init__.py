"""The commands of the catalogue: each takes an open database, prints, and gives an exit code."""
