"""Loops beside the mail path: they carry out what the ledger has promised."""
