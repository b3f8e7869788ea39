//! What both dashboards share: layout, errors, forms, the pages and JSON that are the same at both.
