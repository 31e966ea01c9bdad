//! The frames of a capture file, once or again and again.

use std::fs::File;
use std::io::{Read, Seek};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{FrameMeta, FrameSource, SourceError, copy_part};
use crate::capture::{CaptureError, CaptureErrorKind, CaptureFrame, CaptureReader};

/// Frames and their descriptions up to this many bytes are kept in memory for further passes: 64 MiB.
pub const REPLAY_MEMORY_LIMIT: usize = 64 * 1024 * 1024;

type AnyReader = CaptureReader<Box<dyn Read + Send>>;

/// How often a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// This many times.
    Times(NonZeroU32),
    /// Until the caller has enough.
    Endless,
}

impl Passes {
    /// A single pass.
    pub const ONCE: Self = Self::Times(NonZeroU32::MIN);
}

/// Replays a capture file: bytes, lengths, times, link types and interfaces as they are in the file.
///
/// The file is streamed. For further passes a capture of up to [`REPLAY_MEMORY_LIMIT`] is kept in
/// memory, where a frame costs a copy and nothing else; a larger one is opened again. A damaged
/// file gives its frames up to the damage, then the error, and is not repeated; neither is an empty
/// one. A file that has no frames any more in a later pass is an error.
#[derive(Debug)]
pub struct CaptureReplay {
    stage: Stage,
    /// How to read it once more; none for a stream.
    again: Option<Again>,
    /// Passes after this one; none means endless.
    passes_left: Option<u32>,
    /// Whether this pass is the first.
    is_first: bool,
    /// Frames of this pass so far.
    frames_in_pass: u64,
    /// The frame at hand.
    frame: FrameMeta,
    state: FrameState,
    /// Bytes of the frame at hand that were given.
    written: usize,
}

/// Where another pass comes from that is not in memory.
#[derive(Debug)]
enum Again {
    Path(PathBuf),
    /// Shares its offset with the one that is read.
    File(File, String),
}

impl Again {
    fn open(&mut self) -> Result<AnyReader, CaptureError> {
        match self {
            Self::Path(path) => CaptureReader::open(path),
            Self::File(file, name) => {
                let rewound = file.rewind().and_then(|()| file.try_clone());
                let opened = rewound.map_err(|error| CaptureError {
                    file: name.clone(),
                    offset: 0,
                    kind: CaptureErrorKind::Open(error),
                })?;
                CaptureReader::of_file(opened, name.clone())
            }
        }
    }
}

#[derive(Debug)]
enum Stage {
    /// Streaming from the file, and keeping what was read if it will be needed again.
    Reading {
        reader: Box<AnyReader>,
        kept: Option<Kept>,
    },
    /// Playing from memory; `next` is the frame after the one at hand.
    Playing {
        kept: Kept,
        next: usize,
    },
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameState {
    /// No frame at hand.
    None,
    /// Looked at, not given yet.
    Peeked,
    /// Given; its bytes stay until the next one is looked at.
    Given,
}

/// Frames in memory.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Where each frame begins in `bytes`, and what it is.
    frames: Vec<(usize, FrameMeta)>,
}

impl Kept {
    /// Keeps one more frame; `false` if it does not fit.
    fn keep(&mut self, frame: &CaptureFrame<'_>) -> bool {
        let described = (self.frames.len() + 1) * size_of::<(usize, FrameMeta)>();
        let fits = self.bytes.len() + frame.data.len() + described <= REPLAY_MEMORY_LIMIT;
        if fits {
            self.frames.push((self.bytes.len(), meta(frame)));
            self.bytes.extend_from_slice(frame.data);
        }
        fits
    }
}

impl CaptureReplay {
    /// Replays the file at `path`; `-` is the standard input. Of a pipe it knows when it would have to
    /// wait for the next frame.
    ///
    /// # Errors
    /// As [`CaptureReader::open`].
    pub fn open(path: impl AsRef<Path>, passes: Passes) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let mut replay = Self::from_reader(CaptureReader::open(path)?, passes);
        if path.as_os_str() != "-" {
            replay.again = Some(Again::Path(path.to_owned()));
        }
        Ok(replay)
    }

    /// Replays a regular file that is open for reading, called `name` in errors, from its beginning.
    /// It is read anew for each pass, and nothing of it is kept in memory.
    ///
    /// # Errors
    /// As [`CaptureReader::open`].
    pub fn from_file(
        file: File,
        name: impl Into<String>,
        passes: Passes,
    ) -> Result<Self, CaptureError> {
        let mut again = Again::File(file, name.into());
        let mut replay = Self::from_reader(again.open()?, passes);
        if let Stage::Reading { kept, .. } = &mut replay.stage {
            *kept = None;
        }
        replay.again = Some(again);
        Ok(replay)
    }

    /// The frame that comes next, and whether a pass begins with it; none at the end. Asking again gives
    /// the same answer.
    ///
    /// # Errors
    /// As [`peek_len`](FrameSource::peek_len).
    pub fn peek_frame(&mut self) -> Result<Option<(FrameMeta, bool)>, SourceError> {
        let frame = self.peek()?;
        Ok(frame.map(|frame| (frame, self.frames_in_pass == 1)))
    }

    /// Replays what `reader` gives; more than one pass needs all of it to fit into memory.
    pub fn from_reader(reader: AnyReader, passes: Passes) -> Self {
        let passes_left = match passes {
            Passes::Times(times) => Some(times.get() - 1),
            Passes::Endless => None,
        };
        let kept = (passes_left != Some(0)).then(Kept::default);
        Self {
            stage: Stage::Reading { reader: Box::new(reader), kept },
            again: None,
            passes_left,
            is_first: true,
            frames_in_pass: 0,
            frame: FrameMeta::default(),
            state: FrameState::None,
            written: 0,
        }
    }

    /// Brings the next frame to hand, unless one is that was not given yet.
    #[inline]
    fn peek(&mut self) -> Result<Option<FrameMeta>, SourceError> {
        if self.state != FrameState::Peeked {
            self.state = FrameState::None;
            let next = self.load();
            if next.is_err() {
                self.stage = Stage::Ended;
            }
            let Some(frame) = next? else {
                return Ok(None);
            };
            self.frame = frame;
            self.frames_in_pass += 1;
            self.state = FrameState::Peeked;
            self.written = 0;
        }
        Ok(Some(self.frame))
    }

    fn load(&mut self) -> Result<Option<FrameMeta>, SourceError> {
        loop {
            match &mut self.stage {
                Stage::Reading { reader, kept } => {
                    reader.advance()?;
                    if let Some(frame) = reader.current() {
                        if kept.as_mut().is_some_and(|kept| !kept.keep(&frame)) {
                            *kept = None;
                        }
                        return Ok(Some(meta(&frame)));
                    }
                }
                Stage::Playing { kept, next } => {
                    if let Some((_, frame)) = kept.frames.get(*next) {
                        *next += 1;
                        return Ok(Some(*frame));
                    }
                }
                Stage::Ended => return Ok(None),
            }
            self.next_pass()?;
        }
    }

    /// Begins another pass, or ends.
    fn next_pass(&mut self) -> Result<(), SourceError> {
        let is_empty = self.frames_in_pass == 0;
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        if let (Stage::Reading { reader, .. }, true, false) = (&stage, is_empty, self.is_first) {
            return Err(SourceError::Emptied(reader.name().to_owned()));
        }
        if is_empty || self.passes_left == Some(0) {
            return Ok(());
        }
        self.passes_left = self.passes_left.map(|passes| passes - 1);
        self.frames_in_pass = 0;
        self.is_first = false;
        self.stage = match stage {
            Stage::Reading { kept: Some(kept), .. } | Stage::Playing { kept, .. } => {
                Stage::Playing { kept, next: 0 }
            }
            Stage::Reading { reader, kept: None } => match &mut self.again {
                Some(again) => Stage::Reading { reader: Box::new(again.open()?), kept: None },
                None => return Err(SourceError::CannotRepeat(reader.name().to_owned())),
            },
            Stage::Ended => Stage::Ended,
        };
        Ok(())
    }

    #[inline]
    fn copy(&mut self, out: &mut [u8]) -> usize {
        let bytes = match &self.stage {
            Stage::Reading { reader, .. } => reader.current().map_or(&[][..], |frame| frame.data),
            Stage::Playing { kept, next } => {
                let start = kept.frames.get(next.wrapping_sub(1)).map_or(0, |(start, _)| *start);
                &kept.bytes[start..start + self.frame.len as usize]
            }
            Stage::Ended => &[],
        };
        copy_part(bytes, &mut self.written, out)
    }
}

/// Ends after the last pass; the time that is given is not used.
impl FrameSource for CaptureReplay {
    #[inline]
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        Ok(self.peek()?.map(|frame| frame.len))
    }

    #[inline]
    fn is_ready(&mut self) -> bool {
        match &mut self.stage {
            Stage::Reading { reader, .. } if self.state != FrameState::Peeked => {
                self.state = FrameState::None;
                reader.is_ready()
            }
            _ => true,
        }
    }

    fn wait(&mut self, at_most: Duration) {
        if let Stage::Reading { reader, .. } = &self.stage {
            reader.wait(at_most);
        }
    }

    #[inline]
    fn write_next(&mut self, out: &mut [u8], _: u64) -> Result<Option<FrameMeta>, SourceError> {
        let frame = self.peek()?;
        if frame.is_some() {
            self.state = FrameState::Given;
            self.copy(out);
        }
        Ok(frame)
    }

    fn write_rest(&mut self, out: &mut [u8]) -> usize {
        if self.state == FrameState::Given { self.copy(out) } else { 0 }
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        for skipped in 0..frames {
            if self.peek()?.is_none() {
                return Ok(skipped);
            }
            self.state = FrameState::None;
        }
        Ok(frames)
    }
}

fn meta(frame: &CaptureFrame<'_>) -> FrameMeta {
    FrameMeta {
        len: frame.data.len() as u32,
        original_length: frame.original_length,
        timestamp_ns: frame.timestamp_ns,
        link_type: frame.link_type,
        interface: frame.interface,
    }
}
