//! `[console]`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::config::Reader;

/// The token's file in the data directory of the embedded mode.
const TOKEN_FILE: &str = "console-token";

#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// `None`: the console is not served.
    pub addr: Option<SocketAddr>,
    /// The host name of the console, besides addresses and `localhost`; may be empty.
    pub host: String,
    /// `None`: nobody can read the evidence of an audit.
    pub token_file: Option<PathBuf>,
}

impl ConsoleOptions {
    /// `data_dir`: of the embedded mode.
    pub fn read(reader: &mut Reader, data_dir: Option<&Path>) -> Self {
        let token_file = reader.text("console.token_file");
        Self {
            addr: reader.optional_addr("console.addr"),
            host: reader.checked_text("console.host", check_host),
            token_file: match (token_file.as_str(), data_dir) {
                ("", data_dir) => data_dir.map(|data_dir| data_dir.join(TOKEN_FILE)),
                (path, _) => Some(path.into()),
            },
        }
    }
}

fn check_host(text: &str) -> Result<(), &'static str> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if is_name { Ok(()) } else { Err("a host name such as console.example.com, without scheme and port") }
}
