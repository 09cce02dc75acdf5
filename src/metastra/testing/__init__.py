"""What tests, checks and users' own validation share; nothing here is needed to run a study."""
