package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"

	"skbpool.dev/go/internal/batch"
	"skbpool.dev/go/internal/ingest"
	"skbpool.dev/go/internal/pcap"
	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

const (
	batchBytes = 1 << 20
	// smallestMade is a minimal Ethernet frame without its check sequence.
	smallestMade = 60
	ethernet     = 1
	// experimental is an EtherType for experiments (IEEE 802a).
	experimental = 0x88b5
)

// source is where frames come from: the data of one is valid until the next is asked for.
type source interface {
	Next() (batch.Frame, error)
}

// ingested is the result of the command.
type ingested struct {
	Frames    uint64            `json:"frames"`
	Bytes     uint64            `json:"bytes"`
	Batches   uint64            `json:"batches"`
	Acked     uint64            `json:"acked_through"`
	Accepted  uint64            `json:"accepted"`
	Unclaimed uint64            `json:"unclaimed"`
	Dropped   map[string]uint64 `json:"dropped"`
	Missed    map[string]uint64 `json:"missed"`
}

func runIngest(ctx context.Context, arguments []string, out, messages io.Writer) error {
	o := newOptions("ingest", messages)
	read := o.flags.String("r", "", "pcap `file` to send, - for standard input; without it, made frames")
	count := o.flags.Uint64("c", 1000, "how many `frames` to make, or to read at most with -r")
	size := o.flags.Uint("size", smallestMade, "`bytes` of a frame that is made")
	driver := o.flags.String("driver", "", "`name` of the driver in the daemon's statistics")
	err := o.parse(arguments, func() string {
		if *count == 0 {
			return "-c is at least 1"
		}
		if *size < smallestMade {
			return "-size is at least 60"
		}
		return ""
	})
	if err != nil {
		return err
	}
	if *read != "" && !o.named("c") {
		*count = ^uint64(0)
	}
	conn, limits, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	frames, closeFrames, err := openSource(*read, *size, limits.GetMaxFrameBytes())
	if err != nil {
		return err
	}
	defer closeFrames()

	// Told to end, it sends no more, and waits for what becomes of what was sent.
	streaming, opened, cancel := o.opening(context.WithoutCancel(ctx))
	defer cancel()
	stream, err := ingest.Open(streaming, skbpoolv1.NewFrameServiceClient(conn), *driver)
	if err != nil {
		return because(streaming, err)
	}
	opened()
	result := ingested{Dropped: map[string]uint64{}, Missed: map[string]uint64{}}
	packer := batch.NewPacker(int(min(batchBytes, limits.GetMaxMessageBytes())))
	sendErr := send(ctx, stream, frames, packer, *count, &result)
	answer, err := stream.Finish()
	result.Acked = answer.GetAckedThrough()
	result.Accepted = answer.GetAccepted()
	result.Unclaimed = answer.GetUnclaimed()
	framesByReason(result.Dropped, answer.GetDropped())
	framesByReason(result.Missed, answer.GetMissed())
	// What was acknowledged holds, whatever came after it.
	if printErr := printJSON(out, result); err == nil {
		err = printErr
	}
	if err == nil {
		err = sendErr
	}
	return err
}

// send sends frames until there are no more, count of them are sent, or ctx ends.
func send(
	ctx context.Context, stream *ingest.Stream, frames source, packer *batch.Packer, count uint64,
	result *ingested,
) error {
	sendBatch := func(full *skbpoolv1.FrameBatch) error {
		if full == nil {
			return nil
		}
		if err := stream.Send(full); err != nil {
			return err
		}
		result.Frames += uint64(len(full.GetLength()))
		result.Bytes += uint64(len(full.GetFrames()))
		result.Batches++
		return nil
	}
	var fault error
	for range count {
		frame, err := frames.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fault = err // what came before it is sent
			}
			break
		}
		if err := sendBatch(packer.Add(frame)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := sendBatch(packer.Flush()); err != nil {
		return err
	}
	return fault
}

func openSource(name string, size uint, maxFrame uint32) (source, func(), error) {
	switch name {
	case "":
		return &maker{data: make([]byte, size)}, func() {}, nil
	case "-":
		reader, err := pcap.NewReader(bufio.NewReader(os.Stdin), maxFrame)
		return reader, func() {}, err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	reader, err := pcap.NewReader(bufio.NewReader(file), maxFrame)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return reader, func() { file.Close() }, nil
}

// maker makes Ethernet frames that bear their number, from 0, in 8 bytes behind the header.
type maker struct {
	data   []byte
	number uint64
}

func (m *maker) Next() (batch.Frame, error) {
	copy(m.data, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}) // two addresses of nobody's
	binary.BigEndian.PutUint16(m.data[12:], experimental)
	binary.BigEndian.PutUint64(m.data[14:], m.number)
	m.number++
	return batch.Frame{Data: m.data, TimeNs: uint64(time.Now().UnixNano()), LinkType: ethernet}, nil
}
