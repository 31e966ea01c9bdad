//! `skbpool._native.Subscription`.

use super::bell::Bell;
use super::failure::{IntoException, OrRaise};
use super::hub::{Hub, consumer_dict};
use super::memory::bytes_written;
use super::quota_events::QuotaEvents;
use super::slot::Slot;
use crate::arguments::{Timeout, duration};
use crate::wait::wait_for;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use skbpool_deliver::ConsumerStats;
use skbpool_engine::SubscriptionConfig;
use skbpool_wire::EncodeError;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A consumer whose frames leave in messages: one Subscribe stream.
///
/// Args:
///     hub: Where the frames come from.
///     name: What it is accounted under.
///     quota: Most views it may hold; as many buffers are reserved, and one cache of them.
///     max_message_bytes: Largest message.
///     policy, quota_bytes, copy_bytes, block_at_most: As `Hub.attach_consumer` takes them.
///     max_message_frames: Most frames of a message; None: as many as fit it.
///     linger: Longest that a frame waits, in seconds, from when it was taken, for its message to fill. It
///         is as good as full when half of what the subscription may hold is held.
///     snapshot_length: Most bytes of each frame; None: all.
///     bell: Calls `token` when frames arrive; None: the subscription is waited for with `wait()`.
///     token: Its name at the bell.
///
/// Raises:
///     PoolTooSmall: The pool has no room for another consumer with that quota.
///     PoolClosed: The hub is closed.
///     PoolMemory: The machine has not the memory for the copies.
///     ValueError: The quota is 0, or more than a ring can have; the policy is none, or a setting not of
///         that policy; max_message_frames is 0, or linger negative or no number.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct Subscription {
    subscription: Slot<skbpool_engine::Subscription, ConsumerStats>,
    /// None: shared with others.
    own_bell: Option<Arc<skbpool_deliver::Bell>>,
}

#[pymethods]
impl Subscription {
    #[new]
    #[pyo3(signature = (hub, name, *, quota, max_message_bytes, policy = "drop_newest", quota_bytes = None,
                        copy_bytes = None, block_at_most = None, max_message_frames = None, linger = 0.0,
                        snapshot_length = None, bell = None, token = 0),
           text_signature = "(hub, name, *, quota, max_message_bytes, policy='drop_newest', quota_bytes=None, \
                             copy_bytes=None, block_at_most=None, max_message_frames=None, linger=0.0, \
                             snapshot_length=None, bell=None, token=0)")]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python's")]
    fn new(
        py: Python<'_>,
        hub: &Bound<'_, Hub>,
        name: &str,
        quota: u32,
        max_message_bytes: usize,
        policy: &str,
        quota_bytes: Option<u64>,
        copy_bytes: Option<u64>,
        block_at_most: Option<f64>,
        max_message_frames: Option<NonZeroUsize>,
        linger: f64,
        snapshot_length: Option<u32>,
        bell: Option<&Bound<'_, Bell>>,
        token: u64,
    ) -> PyResult<Self> {
        let bell = bell.map(|bell| (Arc::clone(&bell.get().bell), token));
        let config = SubscriptionConfig {
            quota_bytes,
            policy: super::policy::policy(policy, copy_bytes, block_at_most)?,
            max_message_frames,
            linger: duration("linger", linger)?,
            snapshot_length,
            bell,
            ..SubscriptionConfig::new(quota, max_message_bytes)
        };
        let hub = &hub.get().hub;
        let subscription =
            py.detach(|| skbpool_engine::Subscription::attach(hub, name, config)).or_raise(py)?;
        Ok(Self {
            own_bell: subscription.own_bell().cloned(),
            subscription: Slot::new("subscription", subscription),
        })
    }

    /// Return the next encoded SubscribeResponse, or None if there is nothing to tell, or its frames wait
    /// for more. Never waits itself.
    ///
    /// The frames are copied out once and released at once. What was missed since the previous
    /// message is in `missed`; a message may have nothing else.
    ///
    /// Raises:
    ///     FrameTooLarge: max_message_bytes does not even hold the counts of missed frames.
    ///     Closed: The subscription was closed.
    fn next_message<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        loop {
            let planned =
                self.subscription.with(py, skbpool_engine::Subscription::plan)?.or_raise(py)?;
            let Some(planned) = planned else {
                return Ok(None);
            };
            // Nobody's turn while the memory is made, since that takes the interpreter.
            let written = bytes_written(py, planned.encoded_len, |memory| {
                let written = self
                    .subscription
                    .with_detached(|subscription| subscription.write(memory).map(|it| it.len()));
                written.transpose()
            })?;
            match written {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => return Err(self.subscription.closed(py)),
                // Another thread took that message meanwhile.
                Err(EncodeError::BufferSize { .. }) => {}
                Err(error) => return Err(error.into_exception(py)),
            }
        }
    }

    /// Seconds that the frames which were taken wait on for their message to fill; None: nothing waits.
    /// The bell does not call when they are over.
    #[getter]
    fn lingers_for(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let left = self.subscription.with(py, |it| it.lingers_for())?;
        Ok(left.map(|left| left.as_secs_f64()))
    }

    /// Ask the bell to call when frames arrive.
    ///
    /// Returns:
    ///     False, without asking, if there is something already or nothing more will come.
    fn arm(&self, py: Python<'_>) -> PyResult<bool> {
        self.subscription.with(py, skbpool_engine::Subscription::arm)
    }

    /// Wait until there is something, nothing more will come, or `timeout` seconds (None: never)
    /// have passed; return whether there is something: frames that arrived, which may have to wait for
    /// more, or a message. Other threads run meanwhile.
    ///
    /// Raises:
    ///     ValueError: It shares a bell, which is waited at instead.
    #[pyo3(signature = (timeout), text_signature = "($self, timeout)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        let Some(bell) = &self.own_bell else {
            let text = "the subscription shares a bell; wait there";
            return Err(PyValueError::new_err(text));
        };
        let found = wait_for(py, timeout.0, |deadline| {
            loop {
                // The lock is free while the bell is waited at.
                let armed = self.subscription.with_detached(|subscription| {
                    // Asked before: a wait that is over by then is seen by `arm`.
                    let lingers = subscription.lingers_for();
                    if subscription.arm() { Ok(lingers) } else { Err(subscription.has_frames()) }
                });
                let lingers = match armed {
                    Some(Ok(lingers)) => lingers.unwrap_or(Duration::MAX),
                    Some(Err(found)) => return Some(found),
                    None => return Some(false),
                };
                let left = deadline.saturating_duration_since(Instant::now());
                let called = bell.wait(left.min(lingers)).is_some();
                self.subscription.with_detached(skbpool_engine::Subscription::disarm);
                if !called {
                    return (lingers <= left).then_some(true);
                }
            }
        })?;
        Ok(found.unwrap_or(false))
    }

    /// Whether nothing will ever come again: it was closed, or the hub was and everything is fetched.
    #[getter]
    fn finished(&self, py: Python<'_>) -> bool {
        self.subscription.with(py, skbpool_engine::Subscription::is_finished).unwrap_or(true)
    }

    /// Return its figures; after closing, those at the end.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.subscription.figures(py, skbpool_engine::Subscription::stats)?;
        consumer_dict(py, stats)
    }

    /// Return a watcher of its quota from now on, as `QuotaEvents`.
    ///
    /// Raises:
    ///     Closed: The subscription was closed.
    fn quota_events(&self, py: Python<'_>) -> PyResult<QuotaEvents> {
        self.subscription.with(py, |subscription| QuotaEvents::new(subscription.quota_events()))
    }

    /// Detach the consumer. What lies in its ring is released and counted as missed.
    fn close(&self, py: Python<'_>) {
        self.subscription.close(py, skbpool_engine::Subscription::stats, |_| None);
        if let Some(bell) = &self.own_bell
            && !self.subscription.is_inherited()
        {
            bell.ring(0);
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}
