"""The commands beside the pass; each is imported when it is called."""
