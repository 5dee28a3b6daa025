"""Any octets at every door: whole sessions and single messages, against naive readers."""
