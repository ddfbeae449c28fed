"""What happened, for programs: typed, versioned events in an outbox, and how they reach who waits for them.

Promises: an event exists if and only if the change that it reports was committed; each consumer gets each event at
least once and in order; nothing is kept that no registered consumer still has to read. Of our packages it imports core
alone.
"""
