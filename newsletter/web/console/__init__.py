"""The staff console: pages behind a login, over the same services as the command line."""
