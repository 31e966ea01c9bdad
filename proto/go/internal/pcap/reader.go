// Package pcap reads and writes classic capture files (draft-ietf-opsawg-pcap).
package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"skbpool.dev/go/internal/batch"
)

const (
	fileHeaderBytes   = 24
	recordHeaderBytes = 16

	magicMicroseconds = 0xa1b2c3d4
	magicNanoseconds  = 0xa1b23c4d
)

// FaultError says what is wrong with a capture file, and where.
type FaultError struct {
	// Record is the number of the record that is at fault, from 1; 0: the file's header.
	Record int
	// Text says what is wrong with it.
	Text string
}

func (e *FaultError) Error() string {
	if e.Record == 0 {
		return "the file's header: " + e.Text
	}
	return fmt.Sprintf("record %d: %s", e.Record, e.Text)
}

// Reader reads the frames of a capture file of either byte order and either resolution of time.
type Reader struct {
	from      io.Reader
	order     binary.ByteOrder
	unitNs    uint64
	linkType  uint32
	maxFrame  uint32
	record    int
	header    [recordHeaderBytes]byte
	frameData []byte
}

// NewReader reads the header of a file. A frame over maxFrame bytes is a fault of the file: it
// bounds what a damaged length makes the reader allocate.
func NewReader(from io.Reader, maxFrame uint32) (*Reader, error) {
	var header [fileHeaderBytes]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return nil, cutShort(err, 0)
	}
	r := &Reader{from: from, maxFrame: maxFrame}
	switch big, little := binary.BigEndian.Uint32(header[:]), binary.LittleEndian.Uint32(header[:]); {
	case big == magicMicroseconds:
		r.order, r.unitNs = binary.BigEndian, 1000
	case big == magicNanoseconds:
		r.order, r.unitNs = binary.BigEndian, 1
	case little == magicMicroseconds:
		r.order, r.unitNs = binary.LittleEndian, 1000
	case little == magicNanoseconds:
		r.order, r.unitNs = binary.LittleEndian, 1
	default:
		return nil, &FaultError{Text: fmt.Sprintf("0x%08x begins no pcap file", big)}
	}
	// The upper half of the word tells about frame check sequences.
	r.linkType = r.order.Uint32(header[20:]) & 0xffff
	return r, nil
}

// Next returns the next frame, whose data is valid until the call after; io.EOF at the end.
func (r *Reader) Next() (batch.Frame, error) {
	if _, err := io.ReadFull(r.from, r.header[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return batch.Frame{}, io.EOF
		}
		return batch.Frame{}, cutShort(err, r.record+1)
	}
	r.record++
	captured := r.order.Uint32(r.header[8:])
	if captured > r.maxFrame {
		text := fmt.Sprintf("a frame of %d bytes, where %d are the most", captured, r.maxFrame)
		return batch.Frame{}, &FaultError{Record: r.record, Text: text}
	}
	if uint32(cap(r.frameData)) < captured {
		r.frameData = make([]byte, captured)
	}
	r.frameData = r.frameData[:captured]
	if _, err := io.ReadFull(r.from, r.frameData); err != nil {
		return batch.Frame{}, cutShort(err, r.record)
	}
	seconds, fraction := r.order.Uint32(r.header[:]), r.order.Uint32(r.header[4:])
	return batch.Frame{
		Data:           r.frameData,
		TimeNs:         uint64(seconds)*1e9 + uint64(fraction)*r.unitNs,
		OriginalLength: r.order.Uint32(r.header[12:]),
		LinkType:       r.linkType,
	}, nil
}

// cutShort tells a file that ends too early from one that cannot be read.
func cutShort(err error, record int) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FaultError{Record: record, Text: "the file ends within it"}
	}
	return err
}
