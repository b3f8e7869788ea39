//! One end of a link as a value: events in, effects out.
