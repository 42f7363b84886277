"""What comes along when nothing is configured: Valkey, the mailbox, and the supervisor of `encola up`."""
