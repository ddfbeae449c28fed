"""The source as it is opened: below a handle, part by part, never through a link, regular files only."""
