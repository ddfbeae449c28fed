"""The catalogue: what is stored where, how strongly it is proved, and since when; searched without listing a store."""
