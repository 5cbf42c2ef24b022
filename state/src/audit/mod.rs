//! Who changed what: rows chained by hashes, in PostgreSQL.
