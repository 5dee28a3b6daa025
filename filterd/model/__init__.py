"""The nouns: frozen, slotted, keyword-only. Standard library only; imported by everybody, imports nobody."""
