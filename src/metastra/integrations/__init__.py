"""Other people's systems that metastra can work with; nothing outside needs what is in here."""
