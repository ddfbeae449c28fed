"""Upload completed instrument runs to Azure Blob Storage, and prove that every byte arrived."""

__version__ = "0.1.0"
