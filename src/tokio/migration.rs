#![doc = include_str!("migration.md")]
#![forbid(unsafe_code)]
// Without `client`, the links to it are broken.
#![cfg_attr(not(feature = "client"), allow(rustdoc::broken_intra_doc_links))]
