"""Mail through a real Postfix, filterd, a real clamd, and Postfix again."""
