"""The ledger of a prospective study: append-only, hash-chained, sealed until the data lock."""
