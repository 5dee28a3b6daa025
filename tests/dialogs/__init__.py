"""Scripted dialogues over real sockets, and the house they are held in."""
