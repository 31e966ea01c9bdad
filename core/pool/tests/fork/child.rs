//! A forked child, and what it has to say.

use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

unsafe extern "C" {
    fn alarm(seconds: u32) -> u32;
    fn fork() -> i32;
    fn _exit(status: i32) -> !;
}

/// A child that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A process that waits for its parent before it runs what it was forked for.
pub struct Child {
    pid: Pid,
    go: File,
    said: File,
}

impl Child {
    /// Forks a child that runs `work` once the parent calls [`Child::join`].
    pub fn fork(work: impl FnOnce()) -> Self {
        let (wait, go) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (said, say) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        // A fork that waits for a lock for ever ends the test by a signal. Not inherited.
        // SAFETY: nobody handles the signal.
        unsafe { alarm(DEADLINE.as_secs() as u32) };
        // SAFETY: the child runs its work on this thread's stack and ends without returning.
        let forked = unsafe { fork() };
        // SAFETY: as above.
        unsafe { alarm(0) };
        match forked {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                drop((go, said));
                let mut say = File::from(say);
                let ran = catch_unwind(AssertUnwindSafe(|| {
                    // A byte and not the end of the pipe: children of other tests have that end too.
                    assert_eq!(File::from(wait).read(&mut [0]).unwrap(), 1);
                    work();
                }));
                let text = match &ran {
                    Ok(()) => "done".to_owned(),
                    Err(panic) => match panic.downcast_ref::<String>() {
                        Some(text) => text.clone(),
                        None => format!("{:?}", panic.downcast_ref::<&str>()),
                    },
                };
                let _ = say.write_all(text.as_bytes());
                // SAFETY: ends the child without running what belongs to the parent's test harness.
                unsafe { _exit(i32::from(ran.is_err())) }
            }
            pid => Self {
                pid: Pid::from_raw(pid).unwrap(),
                go: File::from(go),
                said: File::from(said),
            },
        }
    }

    /// Lets the child run, and fails as it did.
    pub fn join(self) {
        let Self { pid, mut go, mut said } = self;
        go.write_all(&[0]).unwrap();
        let (tell, told) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = said.read_to_string(&mut text);
            let _ = tell.send(text);
        });
        let text = told.recv_timeout(DEADLINE);
        if text.is_err() {
            kill_process(pid, Signal::KILL).unwrap();
        }
        let status = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap().1;
        reader.join().unwrap();
        assert_eq!(text.as_deref(), Ok("done"), "the child ended with {status:?}");
        assert_eq!(status.exit_status(), Some(0));
    }
}
