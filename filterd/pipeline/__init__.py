"""The walk of one message, and the human side of it. Meets checks and agreement only through finding codes."""
