//! The laws: properties that every journal must have.
//!
//! A law reads a journal and nothing else. It is written against the contract and never calls the
//! context: a law that reused the code it judges would agree with its bugs.
