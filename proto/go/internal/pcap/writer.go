package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"skbpool.dev/go/internal/batch"
)

const snapLength = 262_144

// Writer writes frames with times in nanoseconds, in the byte order of the network.
type Writer struct {
	to       io.Writer
	began    bool
	linkType uint32
	record   [recordHeaderBytes]byte
}

// NewWriter returns a writer, which writes the file's header with the first frame: that tells the
// link type, of which a file has one.
func NewWriter(to io.Writer) *Writer {
	return &Writer{to: to}
}

// Write appends a frame.
func (w *Writer) Write(frame batch.Frame) error {
	if !w.began {
		if err := w.begin(frame.LinkType); err != nil {
			return err
		}
	}
	if frame.LinkType != w.linkType {
		return fmt.Errorf(
			"a frame of link type %d: a pcap file has one link type, and this one's is %d",
			frame.LinkType, w.linkType)
	}
	seconds := frame.TimeNs / 1e9
	if seconds > math.MaxUint32 {
		return fmt.Errorf("a frame of second %d: a pcap file holds 32 bits of them", seconds)
	}
	length := uint32(len(frame.Data))
	binary.BigEndian.PutUint32(w.record[:], uint32(seconds))
	binary.BigEndian.PutUint32(w.record[4:], uint32(frame.TimeNs%1e9))
	binary.BigEndian.PutUint32(w.record[8:], length)
	binary.BigEndian.PutUint32(w.record[12:], max(frame.OriginalLength, length))
	if _, err := w.to.Write(w.record[:]); err != nil {
		return err
	}
	_, err := w.to.Write(frame.Data)
	return err
}

func (w *Writer) begin(linkType uint32) error {
	w.began, w.linkType = true, linkType
	header := make([]byte, fileHeaderBytes)
	binary.BigEndian.PutUint32(header, magicNanoseconds)
	binary.BigEndian.PutUint16(header[4:], 2) // version 2.4
	binary.BigEndian.PutUint16(header[6:], 4)
	binary.BigEndian.PutUint32(header[16:], snapLength)
	binary.BigEndian.PutUint32(header[20:], linkType)
	_, err := w.to.Write(header)
	return err
}
