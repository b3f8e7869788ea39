//! The parent's program: accepts children, places sign-ups, serves national staff.
