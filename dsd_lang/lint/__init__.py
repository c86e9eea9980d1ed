"""Which files and codes are checked, suppressions, fixes, and configuration."""
