//! The structure of the source, its words, and what documents say of the tests.

mod documents;
mod graph;
mod source;
mod structure;
mod words;
