"""The service agreement as code: pure, synchronous. No clock, no I/O, no logging; time and ids arrive as arguments."""
