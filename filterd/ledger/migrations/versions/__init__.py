"""One file a version, in order. Additive: a program of the version before must be able to go on beside it."""
