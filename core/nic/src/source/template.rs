//! The same frame over and over.

use super::{FrameMeta, FrameSource, SlotSize, SourceError, copy_frame, copy_part};

/// An endless source of one frame: for measuring what moving bytes costs, and nothing else.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    frame: Box<[u8]>,
    link_type: u16,
    written: usize,
}

impl TemplateSource {
    /// A source of copies of `frame`; their timestamp is when they are written.
    pub fn new(frame: impl Into<Box<[u8]>>, link_type: u16) -> Self {
        let frame = frame.into();
        let written = frame.len();
        Self { frame, link_type, written }
    }

    fn meta(&self, now_ns: u64) -> FrameMeta {
        let len = self.frame.len() as u32;
        FrameMeta {
            len,
            original_length: len,
            timestamp_ns: now_ns,
            link_type: self.link_type,
            interface: 0,
        }
    }
}

/// Never ends, never fails.
impl FrameSource for TemplateSource {
    #[inline]
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        Ok(Some(self.frame.len() as u32))
    }

    #[inline]
    fn write_next(
        &mut self,
        out: &mut [u8],
        now_ns: u64,
    ) -> Result<Option<FrameMeta>, SourceError> {
        match out.get_mut(..self.frame.len()) {
            Some(out) => {
                copy_frame(&self.frame, out);
                self.written = self.frame.len();
            }
            None => {
                self.written = 0;
                copy_part(&self.frame, &mut self.written, out);
            }
        }
        Ok(Some(self.meta(now_ns)))
    }

    #[inline]
    fn write_alike(
        &mut self,
        memory: &mut [u8],
        slots: SlotSize,
        now_ns: u64,
    ) -> Option<FrameMeta> {
        for out in slots.frames(memory) {
            copy_frame(&self.frame, &mut out[..self.frame.len()]);
        }
        self.written = self.frame.len();
        Some(self.meta(now_ns))
    }

    fn write_rest(&mut self, out: &mut [u8]) -> usize {
        copy_part(&self.frame, &mut self.written, out)
    }

    fn is_live(&self) -> bool {
        true
    }

    fn is_uniform(&self) -> bool {
        true
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        self.written = self.frame.len();
        Ok(frames)
    }
}
