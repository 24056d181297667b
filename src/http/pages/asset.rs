//! A file that pages name with a hash of its content, so that browsers may cache it without limit.

use std::{borrow::Cow, io::Write};

use actix_web::web::Bytes;
use flate2::{Compression, write::GzEncoder};
use uuid::Uuid;

pub(super) const CSS: &str = "text/css; charset=utf-8";

/// A file that never changes while the process runs.
#[derive(Clone)]
pub(super) struct Asset {
    pub(super) name: Cow<'static, str>,
    pub(super) content_type: &'static str,
    pub(super) bytes: Bytes,
    /// Empty: the file is sent as it is.
    pub(super) gzip: Bytes,
    pub(super) hash: String,
}

impl Asset {
    pub(super) fn new(
        name: impl Into<Cow<'static, str>>,
        content_type: &'static str,
        bytes: impl Into<Bytes>,
    ) -> Self {
        let file = Self::uncompressed(name, content_type, bytes);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail; if it did, the file would be sent uncompressed.
        let gzip = encoder.write_all(&file.bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { gzip: gzip.into(), ..file }
    }

    pub(super) fn uncompressed(
        name: impl Into<Cow<'static, str>>,
        content_type: &'static str,
        bytes: impl Into<Bytes>,
    ) -> Self {
        let bytes = bytes.into();
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &bytes).simple().to_string();
        let hash = hash.chars().take(16).collect();
        Self { name: name.into(), content_type, bytes, gzip: Bytes::new(), hash }
    }

    /// With the hash of the content.
    pub(super) fn url(&self) -> String {
        self.url_below("/assets")
    }

    pub(super) fn url_below(&self, folder: &str) -> String {
        format!("{folder}/{}/{}", self.hash, self.name)
    }
}
