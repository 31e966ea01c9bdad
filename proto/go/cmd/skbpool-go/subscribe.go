package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/grpc"

	"skbpool.dev/go/internal/batch"
	"skbpool.dev/go/internal/pcap"
	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

// subscribed is the result of the command.
type subscribed struct {
	Frames  uint64            `json:"frames"`
	Bytes   uint64            `json:"bytes"`
	Batches uint64            `json:"batches"`
	Missed  map[string]uint64 `json:"missed"`
}

func runSubscribe(ctx context.Context, arguments []string, out, messages io.Writer) error {
	o := newOptions("subscribe", messages)
	write := o.flags.String("w", "", "pcap `file` to write the frames to; without it they are counted")
	count := o.flags.Uint64("c", 0, "end after so many `frames`; 0: when told to")
	name := o.flags.String("name", "", "`name` of the consumer in the daemon's statistics")
	quota := o.flags.Uint("quota", 0, "most `frames` to hold in the daemon at a time; 0: its default")
	err := o.parse(arguments, func() string {
		if *quota > 1<<32-1 {
			return "-quota has 32 bits"
		}
		return ""
	})
	if err != nil {
		return err
	}
	conn, limits, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	streaming, opened, cancel := o.opening(ctx)
	defer cancel()
	request := &skbpoolv1.SubscribeRequest{
		Name:          *name,
		Quota:         uint32(*quota),
		MaxBatchBytes: limits.GetMaxMessageBytes(),
	}
	stream, err := skbpoolv1.NewFrameServiceClient(conn).Subscribe(streaming, request)
	if err == nil {
		err = begun(stream)
	}
	if err != nil {
		return because(streaming, err)
	}
	opened()
	sink, closeSink, err := openSink(*write)
	if err != nil {
		return err
	}
	fmt.Fprintln(messages, "skbpool-go: subscribed")
	result := subscribed{Missed: map[string]uint64{}}
	err = take(stream, sink, *count, &result)
	if ctx.Err() != nil {
		err = nil // it was told to end
	}
	if closeErr := closeSink(); err == nil {
		err = closeErr
	}
	if printErr := printJSON(out, result); err == nil {
		err = printErr
	}
	return err
}

// begun returns when the daemon's header has come, which says that the consumer is attached: it misses
// no frame from then on unawares. A stream that was refused ends without one.
func begun(stream grpc.ServerStreamingClient[skbpoolv1.SubscribeResponse]) error {
	header, err := stream.Header()
	if header != nil || err != nil {
		return err
	}
	if _, err = stream.Recv(); err == nil || errors.Is(err, io.EOF) {
		err = errors.New("the daemon ended the stream before it began")
	}
	return err
}

// take counts and writes what comes until the stream ends or there are count frames.
func take(
	stream grpc.ServerStreamingClient[skbpoolv1.SubscribeResponse], sink func(batch.Frame) error,
	count uint64, result *subscribed,
) error {
	for count == 0 || result.Frames < count {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		framesByReason(result.Missed, response.GetMissed())
		frames, err := batch.Frames(response.GetBatch())
		if err != nil {
			return err
		}
		if response.GetBatch() != nil {
			result.Batches++
		}
		for frame := range frames {
			if count != 0 && result.Frames == count {
				break
			}
			if err := sink(frame); err != nil {
				return err
			}
			result.Frames++
			result.Bytes += uint64(len(frame.Data))
		}
	}
	return nil
}

// openSink returns what takes each frame, and what ends the file.
func openSink(name string) (sink func(batch.Frame) error, end func() error, err error) {
	if name == "" {
		return func(batch.Frame) error { return nil }, func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, nil, err
	}
	buffered := bufio.NewWriterSize(file, 1<<16)
	end = func() error { return errors.Join(buffered.Flush(), file.Close()) }
	return pcap.NewWriter(buffered).Write, end, nil
}
