//! What both programs share at a terminal: arguments, configuration, output, exit codes.
