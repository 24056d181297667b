//! A private name server, whose answers change as those of a container engine do.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::net::UdpSocket;

use super::{SOON, eventually};

#[derive(Debug)]
struct Addresses {
    current: Vec<Ipv4Addr>,
    /// Somebody has asked since they were set.
    is_known: bool,
}

/// Answers each question for an IPv4 address with all addresses that are set.
pub(crate) struct Names {
    pub(crate) port: u16,
    addresses: Arc<Mutex<Addresses>>,
    answering: tokio::task::JoinHandle<()>,
}

impl Names {
    pub(crate) async fn start(addresses: &[Ipv4Addr]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
        let port = socket.local_addr().expect("address").port();
        let addresses = Arc::new(Mutex::new(Addresses { current: addresses.to_vec(), is_known: false }));
        let shared = addresses.clone();
        let answering = tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut question).await {
                let answer = {
                    let mut addresses = shared.lock().expect("addresses");
                    addresses.is_known = true;
                    answer(&question[..length], &addresses.current)
                };
                let _ = socket.send_to(&answer, client).await;
            }
        });
        Self { port, addresses, answering }
    }

    /// Sets the addresses, and waits until somebody asks for them, as a proxy under load does soon.
    pub(crate) async fn set(&self, addresses: &[Ipv4Addr]) {
        *self.addresses.lock().expect("addresses") =
            Addresses { current: addresses.to_vec(), is_known: false };
        let asked = async || self.addresses.lock().expect("addresses").is_known.then_some(());
        eventually("the name is resolved again", SOON, asked).await;
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

/// The answer to a query with one question (RFC 1035, section 4).
fn answer(query: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    const HEADER: usize = 12;
    let name_len = query[HEADER..].iter().position(|byte| *byte == 0).expect("a name") + 1;
    // Type and class follow the name.
    let question = &query[HEADER..HEADER + name_len + 4];
    let is_ipv4 = question[name_len..name_len + 2] == [0, 1];
    let addresses = if is_ipv4 { addresses } else { &[] };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(addresses.len()).expect("few"), 0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        // The name of the question; an address of the internet, for a second.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
