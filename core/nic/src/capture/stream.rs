//! Open files that may keep whoever reads them waiting.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};

/// An open file, read without a buffer in between: all that was read of it is in the window, and all
/// that was not, poll(2) knows of.
#[derive(Clone)]
pub(super) struct Stream(Arc<dyn AsFd + Send + Sync>);

impl Stream {
    pub(super) fn new(file: impl AsFd + Send + Sync + 'static) -> Self {
        Self(Arc::new(file))
    }

    /// Whether reading may wait for somebody else: of a pipe, a socket, a device, but not of a
    /// regular file.
    pub(super) fn may_wait(&self) -> bool {
        // What cannot be asked cannot be read either, and says so at once.
        fstat(self.0.as_fd())
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile)
    }

    /// Waits until reading answers at once, at most so long, or until a signal comes; answers whether
    /// it does. The end and an error are answers too.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let mut descriptors = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        let timeout = Timespec::try_from(at_most).ok();
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(answering) => answering != 0,
            // Where polling fails, reading tells why.
            Err(error) => error != rustix::io::Errno::INTR,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0.as_fd(), out)?)
    }
}
