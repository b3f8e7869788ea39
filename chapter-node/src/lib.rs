//! The chapter's program: dials its parent, serves its organisers.
