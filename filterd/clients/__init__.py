"""Other programs' protocols, spoken from our side; each client fulfils a Protocol of ports.py."""
