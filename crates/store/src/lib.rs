//! The database: documents are truth, tables are a view. Alone knows SQL.
