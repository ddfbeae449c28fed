"""What instruments write about a run, read from bytes into values. Pure; unreadable input is a `MalformedFile`, told in
words."""
