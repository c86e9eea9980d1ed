"""Which files and which codes are checked, suppressions, fixes, and the configuration that says so."""
