"""What makes the tables of one version those of the next; applied by ledger.versions."""
