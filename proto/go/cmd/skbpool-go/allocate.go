package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

// allocated is the result of the command.
type allocated struct {
	Session     string `json:"session"`
	Buffers     int    `json:"buffers"`
	BufferBytes uint64 `json:"buffer_bytes"`
	Written     uint64 `json:"written"`
	Skbs        int    `json:"skbs"`
	ReadBack    uint64 `json:"read_back"`
	Released    uint64 `json:"released"`
}

func runAllocate(ctx context.Context, arguments []string, out, messages io.Writer) error {
	o := newOptions("allocate", messages)
	count := o.flags.Uint("n", 1, "how many `buffers` to take, all or none")
	pool := o.flags.String("pool", "", "`name` of the pool; the daemon's first unless given")
	wait := o.flags.Duration("wait", 0, "how long to wait for buffers")
	size := o.flags.Uint("size", smallestMade, "`bytes` to write into each")
	name := o.flags.String("name", "", "`name` of the session in the daemon's statistics")
	hold := o.flags.Bool("hold", false, "keep the skbs until told to end")
	err := o.parse(arguments, func() string {
		if *count > 1<<32-1 || *size < 8 || *size > 1<<32-1 {
			return "-n has 32 bits, and -size is 8 to 2^32 - 1"
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
	client := skbpoolv1.NewLeaseServiceClient(conn)
	streaming, opened, cancel := o.opening(ctx)
	defer cancel()
	stream, err := client.OpenSession(streaming, &skbpoolv1.OpenSessionRequest{Name: *name})
	if err != nil {
		return because(streaming, err)
	}
	session, err := stream.Recv()
	if err != nil {
		return because(streaming, err)
	}
	opened()
	// However the daemon ends the stream, what the session had is gone.
	ended := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		ended <- err
	}()

	work := lease{
		client:  client,
		session: session.GetSessionId(),
		timeout: o.timeout,
		size:    uint32(*size),
		chunk:   max(1, int(limits.GetMaxMessageBytes()/2/uint64(*size+64))),
	}
	result := allocated{Session: session.GetName()}
	if err := work.allocate(ctx, uint32(*count), *pool, *wait, &result); err != nil {
		return err
	}
	skbs, err := work.fill(ctx, &result)
	if err != nil {
		return err
	}
	if *hold {
		fmt.Fprintln(messages, "skbpool-go: holding")
		select {
		case <-ctx.Done():
		case err := <-ended:
			return err
		}
		// The end of the session brings home what it holds.
		return printJSON(out, result)
	}
	if err := work.release(ctx, skbs, &result); err != nil {
		return err
	}
	return printJSON(out, result)
}

// lease is what the verbs of a session share.
type lease struct {
	client  skbpoolv1.LeaseServiceClient
	session string
	timeout time.Duration
	size    uint32
	// chunk is how many buffers' bytes a message has room for.
	chunk   int
	buffers []uint64
}

func (l *lease) allocate(
	ctx context.Context, count uint32, pool string, wait time.Duration, result *allocated,
) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout+wait)
	defer cancel()
	request := &skbpoolv1.AllocateRequest{SessionId: l.session, Pool: pool, Count: count}
	if wait != 0 {
		request.Wait = durationpb.New(wait)
	}
	answer, err := l.client.Allocate(ctx, request)
	if err != nil {
		return err
	}
	l.buffers = answer.GetBuffers()
	result.Buffers, result.BufferBytes = len(l.buffers), answer.GetBufferBytes()
	return nil
}

// fill writes into every buffer, makes an skb of each, and reads that back.
func (l *lease) fill(ctx context.Context, result *allocated) ([]uint64, error) {
	var skbs []uint64
	for buffers := range slices.Chunk(l.buffers, l.chunk) {
		made, err := l.fillSome(ctx, buffers)
		if err != nil {
			return nil, err
		}
		skbs = append(skbs, made...)
		result.Written += uint64(len(buffers)) * uint64(l.size)
		result.ReadBack += uint64(len(made)) * uint64(l.size)
	}
	result.Skbs = len(skbs)
	return skbs, nil
}

func (l *lease) fillSome(ctx context.Context, buffers []uint64) ([]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	write := &skbpoolv1.WriteRequest{SessionId: l.session}
	cut := &skbpoolv1.MakeSkbRequest{SessionId: l.session}
	for _, buffer := range buffers {
		data := l.content(buffer)
		write.Writes = append(write.Writes, &skbpoolv1.BufferWrite{Buffer: buffer, Data: data})
		cut.Skbs = append(cut.Skbs, &skbpoolv1.SkbSpec{Buffer: buffer, Length: l.size, LinkType: ethernet})
	}
	if _, err := l.client.Write(ctx, write); err != nil {
		return nil, err
	}
	made, err := l.client.MakeSkb(ctx, cut)
	if err != nil {
		return nil, err
	}
	read := &skbpoolv1.ReadRequest{SessionId: l.session}
	for _, skb := range made.GetSkbs() {
		read.Ranges = append(read.Ranges, &skbpoolv1.ReadRange{Handle: skb})
	}
	found, err := l.client.Read(ctx, read)
	if err != nil {
		return nil, err
	}
	for number, data := range found.GetData() {
		if !bytes.Equal(data, write.GetWrites()[number].GetData()) {
			return nil, fmt.Errorf("skb %d of the buffers differs from what was written", number)
		}
	}
	return made.GetSkbs(), nil
}

// content is what goes into a buffer: its handle, so that no two are alike, again and again.
func (l *lease) content(buffer uint64) []byte {
	handle := binary.BigEndian.AppendUint64(nil, buffer)
	return bytes.Repeat(handle, int(l.size/8+1))[:l.size]
}

func (l *lease) release(ctx context.Context, skbs []uint64, result *allocated) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	request := &skbpoolv1.ReleaseRequest{SessionId: l.session, Handles: skbs}
	answer, err := l.client.Release(ctx, request)
	result.Released = uint64(answer.GetReleased())
	return err
}
