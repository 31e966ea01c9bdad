// Package ingest sends batches into a daemon as fast as its credit allows.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"

	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

// Stream is an Ingest stream. Send and Finish are for one goroutine at a time.
type Stream struct {
	stream grpc.BidiStreamingClient[skbpoolv1.IngestRequest, skbpoolv1.IngestResponse]
	driver string

	mu      sync.Mutex
	changed sync.Cond
	// latest is what the daemon said last; nil before the first credit.
	latest *skbpoolv1.IngestResponse
	// unacked are the batches that were sent and are not acknowledged, oldest first.
	unacked      []sent
	unackedBytes uint64
	ended        bool
	// err is what the stream ended with; nil: in order.
	err error
}

type sent struct {
	sequence, bytes uint64
}

// Open opens a stream, and returns when the daemon has granted the first credit. It lives until
// Finish or the end of ctx.
func Open(ctx context.Context, client skbpoolv1.FrameServiceClient, driver string) (*Stream, error) {
	stream, err := client.Ingest(ctx)
	if err != nil {
		return nil, err
	}
	s := &Stream{stream: stream, driver: driver}
	s.changed.L = &s.mu
	go s.receive()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.latest == nil && !s.ended {
		s.changed.Wait()
	}
	return s, s.failure()
}

// Send sends a batch when the credit has room for it.
func (s *Stream) Send(batch *skbpoolv1.FrameBatch) error {
	bytes := uint64(len(batch.GetFrames()))
	request := &skbpoolv1.IngestRequest{Batch: batch, Driver: s.driver}
	s.driver = "" // read in the first request only
	s.mu.Lock()
	defer s.mu.Unlock()
	// A single batch may always be sent when none is unacknowledged.
	for !s.ended && len(s.unacked) > 0 && s.unackedBytes+bytes > s.latest.GetCredit() {
		s.changed.Wait()
	}
	if s.ended {
		return s.failure()
	}
	s.unacked = append(s.unacked, sent{batch.GetSequence(), bytes})
	s.unackedBytes += bytes
	s.mu.Unlock()
	err := s.stream.Send(request)
	s.mu.Lock()
	if errors.Is(err, io.EOF) { // the daemon ended the stream, and why is told to the receiver
		for !s.ended {
			s.changed.Wait()
		}
		return s.failure()
	}
	return err
}

// Finish ends the stream when everything is acknowledged, and returns what became of it. After an
// error this is what was acknowledged before.
func (s *Stream) Finish() (*skbpoolv1.IngestResponse, error) {
	err := s.stream.CloseSend()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ended {
		s.changed.Wait()
	}
	if s.err != nil {
		err = s.err
	}
	if err == nil && len(s.unacked) > 0 {
		err = s.failure()
	}
	return s.latest, err
}

// failure returns why nothing more can be sent; the caller holds the lock.
func (s *Stream) failure() error {
	if s.ended && s.err == nil {
		return fmt.Errorf(
			"the daemon ended the stream with %d batches unacknowledged", len(s.unacked))
	}
	return s.err
}

func (s *Stream) receive() {
	for {
		response, err := s.stream.Recv()
		s.mu.Lock()
		if err == nil {
			s.acknowledge(response)
		} else {
			s.ended = true
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
		}
		s.changed.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *Stream) acknowledge(response *skbpoolv1.IngestResponse) {
	s.latest = response
	done := 0
	for done < len(s.unacked) && s.unacked[done].sequence <= response.GetAckedThrough() {
		s.unackedBytes -= s.unacked[done].bytes
		done++
	}
	s.unacked = s.unacked[done:]
}
