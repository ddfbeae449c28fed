"""The published file format: rows and documents."""
