//! Who may change a stack now: a lease in PostgreSQL.
