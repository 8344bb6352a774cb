//! The open connections, and who has proved to be at their other end.

use std::collections::HashMap;
use std::net::SocketAddr;

use wasm_core::cpm::ids::InstanceId;

use crate::node::{FlowId, Transport};
use crate::store::UserId;

/// One open connection.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    /// Those who signed in on it, by cookie or by digest.
    users: Vec<UserId>,
    /// The device whose session's cookie came with it.
    device: Option<InstanceId>,
}

impl Flow {
    /// Whether anybody has proved itself here.
    pub(crate) fn signed_in(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether this user need not prove itself again here.
    pub(crate) fn is(&self, user: UserId) -> bool {
        self.users.contains(&user)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    open: HashMap<FlowId, Flow>,
}

impl Flows {
    pub(crate) fn opened(&mut self, id: FlowId, transport: Transport, remote: SocketAddr, user: Option<(UserId, InstanceId)>) {
        let (user, device) = user.unzip();
        self.open.insert(id, Flow { transport, remote, users: user.into_iter().collect(), device });
    }

    pub(crate) fn closed(&mut self, id: FlowId) {
        self.open.remove(&id);
    }

    pub(crate) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.open.get(&id)
    }

    /// Remembers that this user proved itself on the connection; beyond `limit` users each request goes on proving itself.
    pub(crate) fn proved(&mut self, id: FlowId, user: UserId, limit: usize) {
        if let Some(flow) = self.open.get_mut(&id)
            && !flow.users.contains(&user)
            && flow.users.len() < limit
        {
            flow.users.push(user);
        }
    }

    /// A user's device has to prove itself anew, on the connections that its cookie opened and on those where it was bound. Those on
    /// which nobody else has proved itself are returned, to be closed.
    pub(crate) fn expel(&mut self, user: UserId, instance: &InstanceId, bound: &[FlowId]) -> Vec<FlowId> {
        let mut empty = Vec::new();
        for (&id, flow) in &mut self.open {
            if flow.is(user) && (flow.device.as_ref() == Some(instance) || bound.contains(&id)) {
                flow.users.retain(|other| *other != user);
                if flow.users.is_empty() {
                    empty.push(id);
                }
            }
        }
        empty.sort_unstable();
        empty
    }

    /// The connections of users for whom `gone` holds.
    pub(crate) fn of_users(&self, mut gone: impl FnMut(UserId) -> bool) -> Vec<FlowId> {
        self.open.iter().filter(|(_, flow)| flow.users.iter().any(|&user| gone(user))).map(|(&id, _)| id).collect()
    }
}
