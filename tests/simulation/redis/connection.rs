//! A client's connection to one server process.

use std::{
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Arg, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value, aio::ConnectionLike};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    cluster::{Batch, SimRedis},
    network::Delivery,
    reply::{Reply, Request},
};

/// Multiplexed: clones share the connection. It leads to the server that it was made to, whatever becomes of that.
#[derive(Clone)]
pub(crate) struct SimConnection {
    redis: SimRedis,
    server: usize,
    incarnation: u64,
    response_timeout: Option<Duration>,
    broken: Arc<AtomicBool>,
    /// Requests of one connection arrive in the order in which they were sent.
    order: Arc<tokio::sync::Mutex<()>>,
}

/// How one batch of requests travels.
struct Journey {
    delivery: Delivery,
    arrival: Instant,
    reply_delay: Duration,
}

impl SimRedis {
    /// Connects to the server that the address leads to.
    pub(crate) async fn connect(&self) -> RedisResult<SimConnection> {
        self.connect_to(self.address()).await
    }

    pub(crate) async fn connect_to(&self, server: usize) -> RedisResult<SimConnection> {
        let (running, incarnation, delivery, most) = self.with(server, |node| {
            let network = &mut node.network;
            (node.running, node.incarnation, network.next_delivery(), network.request_delay)
        });
        let delay = self.lock().delay_up_to(most);
        match delivery {
            _ if !running => return Err(io_error(io::ErrorKind::ConnectionRefused)),
            Delivery::Refused => return Err(io_error(io::ErrorKind::ConnectionRefused)),
            Delivery::RequestsLost | Delivery::RepliesLost => pending().await,
            Delivery::RepliesCut => return Err(io_error(io::ErrorKind::ConnectionReset)),
            Delivery::Normal => {}
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(SimConnection {
            redis: self.clone(),
            server,
            incarnation,
            response_timeout: None,
            broken: Arc::default(),
            order: Arc::default(),
        })
    }
}

impl SimConnection {
    /// Gives up waiting for a reply after this time, as the driver does. The request may still be executed.
    pub(crate) fn with_response_timeout(mut self, limit: Duration) -> Self {
        self.response_timeout = Some(limit);
        self
    }

    /// The server that this connection leads to.
    pub(crate) fn server(&self) -> usize {
        self.server
    }

    async fn send(&self, batch: Batch) -> RedisResult<Vec<Reply>> {
        let journey = self.depart();
        let at_once = journey.arrival <= Instant::now() && !self.is_frozen() && self.order.try_lock().is_ok();
        let exchange = self.clone().exchange(batch, journey);
        let exchange = async {
            // A client that stops waiting does not call its request back.
            let reply =
                if at_once { exchange.await } else { tokio::spawn(exchange).await.expect("an exchange") };
            match reply {
                Some(reply) => reply,
                None => pending().await,
            }
        };
        match self.response_timeout {
            None => exchange.await,
            Some(limit) => timeout(limit, exchange)
                .await
                .unwrap_or_else(|_elapsed| Err(io_error(io::ErrorKind::TimedOut))),
        }
    }

    fn depart(&self) -> Journey {
        let mut cluster = self.redis.lock();
        let network = &mut cluster.nodes[self.server].network;
        let (delivery, request, reply) =
            (network.next_delivery(), network.request_delay, network.reply_delay);
        let arrival = Instant::now() + cluster.delay_up_to(request);
        Journey { delivery, arrival, reply_delay: cluster.delay_up_to(reply) }
    }

    /// Returns none where the client never hears of it.
    async fn exchange(self, batch: Batch, journey: Journey) -> Option<RedisResult<Vec<Reply>>> {
        let turn = self.order.lock().await;
        if journey.arrival > Instant::now() {
            sleep_until(journey.arrival).await;
        }
        self.thaw().await;
        match journey.delivery {
            Delivery::RequestsLost => return None,
            Delivery::Refused => self.broken.store(true, Ordering::Relaxed),
            _ => {}
        }
        if self.is_dead() {
            return Some(Err(io_error(io::ErrorKind::BrokenPipe)));
        }
        let replies = self.redis.execute(self.server, batch);
        drop(turn);
        match journey.delivery {
            Delivery::RepliesLost => return None,
            Delivery::RepliesCut => self.broken.store(true, Ordering::Relaxed),
            _ => {}
        }
        if !journey.reply_delay.is_zero() {
            sleep(journey.reply_delay).await;
        }
        Some(if self.is_dead() { Err(io_error(io::ErrorKind::BrokenPipe)) } else { Ok(replies) })
    }

    fn is_frozen(&self) -> bool {
        self.redis.lock().nodes[self.server].network.frozen
    }

    /// Waits while the server is stopped.
    async fn thaw(&self) {
        loop {
            let thawed = {
                let cluster = self.redis.lock();
                let node = &cluster.nodes[self.server];
                if !node.network.frozen || node.incarnation != self.incarnation {
                    return;
                }
                Arc::clone(&node.network.thawed).notified_owned()
            };
            thawed.await;
        }
    }

    /// Whether the connection has broken, or the process that it leads to has ended.
    fn is_dead(&self) -> bool {
        let cluster = self.redis.lock();
        let node = &cluster.nodes[self.server];
        self.broken.load(Ordering::Relaxed) || !node.running || node.incarnation != self.incarnation
    }
}

impl ConnectionLike for SimConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let replies = self.send(Batch::Pipeline(vec![request(command)])).await?;
            replies.into_iter().next().expect("a reply for each request").into_result()
        })
    }

    /// `offset` counts the replies that the driver does not want: those of MULTI and of the queued commands.
    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let requests = pipeline.cmd_iter().map(request).collect();
            if pipeline.is_transaction() {
                let replies = self.send(Batch::Transaction(requests)).await?;
                return replies.into_iter().map(Reply::into_transaction).collect();
            }
            let replies = self.send(Batch::Pipeline(requests)).await?;
            Ok(replies.into_iter().skip(offset).take(count).map(Reply::into_value).collect())
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn request(command: &Cmd) -> Request {
    let words = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => bytes.to_vec(),
        // The driver's iterators over a scan put the cursor here; nothing uses them.
        _ => b"0".to_vec(),
    });
    words.collect()
}

fn io_error(kind: io::ErrorKind) -> RedisError {
    io::Error::from(kind).into()
}
