//! Runs it: writer thread, fold workers, clock, randomness, gRPC, enrolment. Alone imports tonic.
