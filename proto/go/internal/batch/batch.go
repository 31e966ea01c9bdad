// Package batch packs frames into the columns of a FrameBatch, and takes them out again.
package batch

import (
	"fmt"
	"iter"
	"math"

	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

const (
	// columnBytes is what a frame takes in a message beside its bytes: its length, its time and its
	// original length, as packed fixed32.
	columnBytes = 3 * 4
	// overheadBytes is what a message takes beside its frames, amply.
	overheadBytes = 256
)

// Frame is a frame and what is known of it.
type Frame struct {
	// Data is the frame's bytes.
	Data []byte
	// TimeNs is when it arrived, in nanoseconds since the Unix epoch.
	TimeNs uint64
	// OriginalLength is the bytes it had before it was cut short; 0: it was not.
	OriginalLength uint32
	// LinkType is a LINKTYPE_ number of the pcap registry; 1 is Ethernet.
	LinkType uint32
}

// Packer collects frames until a batch is full. It copies what it is given.
type Packer struct {
	maxBytes int
	sequence uint64
	open     *skbpoolv1.FrameBatch
	timed    bool
	cut      bool
}

// NewPacker returns a packer of messages of at most maxBytes. A frame that fits none has a message
// of its own, for the daemon to refuse.
func NewPacker(maxBytes int) *Packer {
	return &Packer{maxBytes: maxBytes}
}

// Add takes a frame. If that begins another batch, it returns the one before, else nil.
func (p *Packer) Add(frame Frame) *skbpoolv1.FrameBatch {
	var full *skbpoolv1.FrameBatch
	if !p.fits(frame) {
		full = p.Flush()
	}
	if p.open == nil {
		p.sequence++
		p.open = &skbpoolv1.FrameBatch{
			Frames:     make([]byte, 0, p.maxBytes),
			BaseTimeNs: frame.TimeNs,
			LinkType:   frame.LinkType,
			Sequence:   p.sequence,
		}
	}
	length := uint32(len(frame.Data))
	original := max(frame.OriginalLength, length)
	offset := uint32(frame.TimeNs - p.open.BaseTimeNs)
	p.open.Frames = append(p.open.Frames, frame.Data...)
	p.open.Length = append(p.open.Length, length)
	p.open.TimeOffsetNs = append(p.open.TimeOffsetNs, offset)
	p.open.OriginalLength = append(p.open.OriginalLength, original)
	p.timed = p.timed || offset != 0
	p.cut = p.cut || original != length
	return full
}

// Flush returns what was added since the last batch, nil if that is nothing.
func (p *Packer) Flush() *skbpoolv1.FrameBatch {
	batch := p.open
	if batch != nil {
		// Columns that say nothing are left out.
		if !p.timed {
			batch.TimeOffsetNs = nil
		}
		if !p.cut {
			batch.OriginalLength = nil
		}
	}
	p.open, p.timed, p.cut = nil, false, false
	return batch
}

func (p *Packer) fits(frame Frame) bool {
	if p.open == nil {
		return true
	}
	frames := len(p.open.Length) + 1
	bytes := len(p.open.Frames) + len(frame.Data) + frames*columnBytes + overheadBytes
	// Of a frame that is older than the first, this is beyond 32 bits too.
	offset := frame.TimeNs - p.open.BaseTimeNs
	return bytes <= p.maxBytes && frame.LinkType == p.open.LinkType && offset <= math.MaxUint32
}

// Frames returns the frames of a batch in their order. Their data lie in the batch.
func Frames(batch *skbpoolv1.FrameBatch) (iter.Seq[Frame], error) {
	count := len(batch.GetLength())
	var bytes uint64
	for _, length := range batch.GetLength() {
		bytes += uint64(length)
	}
	if bytes != uint64(len(batch.GetFrames())) {
		return nil, fmt.Errorf(
			"batch %d has %d bytes of frames, and its lengths add up to %d",
			batch.GetSequence(), len(batch.GetFrames()), bytes)
	}
	times, originals := batch.GetTimeOffsetNs(), batch.GetOriginalLength()
	if (len(times) != 0 && len(times) != count) || (len(originals) != 0 && len(originals) != count) {
		return nil, fmt.Errorf(
			"batch %d has %d lengths, %d times and %d original lengths",
			batch.GetSequence(), count, len(times), len(originals))
	}
	return func(yield func(Frame) bool) {
		rest := batch.GetFrames()
		for at, length := range batch.GetLength() {
			frame := Frame{
				Data:           rest[:length:length],
				TimeNs:         batch.GetBaseTimeNs(),
				OriginalLength: length,
				LinkType:       batch.GetLinkType(),
			}
			if len(times) != 0 {
				frame.TimeNs += uint64(times[at])
			}
			if len(originals) != 0 {
				frame.OriginalLength = originals[at]
			}
			rest = rest[length:]
			if !yield(frame) {
				return
			}
		}
	}, nil
}
