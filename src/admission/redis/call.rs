//! How a script is called: with the keys and the arguments that all of them take, on a connection
//! that works.

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ScriptInvocation};

use super::{Connections, InUse, Keys, RedisAdmission, Scripts, replies};
use crate::admission::{AdmissionError, Watermark};
use crate::domain::{ProductId, SystemId, Terms};

impl<C: Connections> RedisAdmission<C> {
    /// The last argument of every script.
    fn system(&self) -> String {
        let known = *self.shared.system.borrow();
        known.map(|SystemId(id)| id.simple().to_string()).unwrap_or_default()
    }

    pub(super) fn scripts(&self) -> &Scripts {
        &self.shared.scripts
    }

    pub(super) fn keys(&self, product: &ProductId) -> Keys {
        Keys::new(&self.shared.prefix, product)
    }

    /// A call of a script, without arguments yet.
    pub(super) fn call<'script>(
        &self,
        script: &'script redis::Script,
        product: &ProductId,
    ) -> ScriptInvocation<'script> {
        let mut call = script.prepare_invoke();
        for key in self.keys(product).in_order() {
            call.key(key);
        }
        call
    }

    /// A call of a script of a rebuild, which takes the staged keys too.
    pub(super) fn staging_call<'script>(
        &self,
        script: &'script redis::Script,
        product: &ProductId,
        epoch: u64,
    ) -> ScriptInvocation<'script> {
        let mut call = self.call(script, product);
        for key in self.keys(product).staged(epoch) {
            call.key(key);
        }
        call
    }

    /// Runs a script whose last arguments are what the caller knows: the identity of the server,
    /// and how far the sale was seen.
    pub(super) async fn run_known(
        &self,
        product: &ProductId,
        mut call: ScriptInvocation<'_>,
    ) -> Result<replies::Reply, AdmissionError> {
        let horizon = self.shared.watermarks.of(product);
        let Watermark { epoch, unit } = horizon.watermark();
        let mut link = self.connections.get()?;
        call.arg(&*link.server).arg(epoch).arg(unit).arg(self.system());
        let reply = call.invoke_async(&mut link.connection).await;
        let reply = reply.map_err(|error| self.connections.failed(&link, error))?;
        match replies::rolled_back(&reply)? {
            None => Ok(reply),
            Some(state) => {
                if horizon.has_left(state) {
                    self.distrust(product, horizon.seen, link).await;
                }
                Err(AdmissionError::NotReady)
            }
        }
    }

    /// Ends the use of a state for every process, and this process' use of the server that has it:
    /// where a server lives on after a failover, the address leads to another one by now.
    async fn distrust(&self, product: &ProductId, seen: Watermark, mut link: InUse<C::Connection>) {
        let mut call = self.call(&self.scripts().distrust, product);
        call.arg(seen.epoch).arg(seen.unit).arg(self.system());
        if let Err(error) = call.invoke_async::<()>(&mut link.connection).await {
            tracing::debug!(%product, %error, "a state that was rolled back is not marked");
        }
        self.connections.replace(&link);
    }

    /// Runs a script that uses any state.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        mut call: ScriptInvocation<'_>,
    ) -> Result<T, AdmissionError> {
        let mut link = self.connections.get()?;
        call.arg(self.system());
        let reply = call.invoke_async(&mut link.connection).await;
        reply.map_err(|error| self.connections.failed(&link, error))
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, AdmissionError> {
        let mut link = self.connections.get()?;
        let reply = command.query_async(&mut link.connection).await;
        reply.map_err(|error| self.connections.failed(&link, error))
    }
}

/// The arguments that say when a sale is open.
pub(super) fn add_window(call: &mut ScriptInvocation<'_>, terms: &Terms) {
    let millis = |instant: Option<DateTime<Utc>>| {
        instant.map(|instant| instant.timestamp_millis().to_string()).unwrap_or_default()
    };
    call.arg(millis(terms.opens_at)).arg(millis(terms.closes_at)).arg(u8::from(terms.paused));
}
