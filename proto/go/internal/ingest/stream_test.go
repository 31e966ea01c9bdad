package ingest_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"skbpool.dev/go/internal/ingest"
	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

// server is a gRPC server whose Ingest does what a test tells it.
type server struct {
	skbpoolv1.UnimplementedFrameServiceServer
	received []uint64
	respond  chan *skbpoolv1.IngestResponse
	end      chan error
}

func (s *server) Ingest(stream grpc.BidiStreamingServer[skbpoolv1.IngestRequest, skbpoolv1.IngestResponse]) error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for {
			request, err := stream.Recv()
			if err != nil {
				return
			}
			s.received = append(s.received, request.GetBatch().GetSequence())
		}
	}()
	for {
		select {
		case response := <-s.respond:
			if err := stream.Send(response); err != nil {
				return err
			}
		case err := <-s.end:
			return err
		}
	}
}

// serve runs a test with a stream to such a server, opened with that credit. In the bubble
// synctest.Wait returns when either side has done all that it can without the other.
func serve(t *testing.T, credit uint64, test func(*server, *ingest.Stream)) {
	synctest.Test(t, func(t *testing.T) {
		listener := bufconn.Listen(1 << 20)
		s := &server{respond: make(chan *skbpoolv1.IngestResponse), end: make(chan error)}
		serving := grpc.NewServer()
		skbpoolv1.RegisterFrameServiceServer(serving, s)
		go serving.Serve(listener)
		defer serving.Stop()
		conn, err := grpc.NewClient(
			"passthrough:///server",
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return listener.DialContext(ctx)
			}),
		)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { s.respond <- &skbpoolv1.IngestResponse{Credit: credit} }()
		stream, err := ingest.Open(t.Context(), skbpoolv1.NewFrameServiceClient(conn), "driver")
		if err != nil {
			t.Fatal(err)
		}
		test(s, stream)
	})
}

func numbered(sequence uint64) *skbpoolv1.FrameBatch {
	return &skbpoolv1.FrameBatch{Sequence: sequence, Frames: make([]byte, 400), Length: []uint32{400}}
}

// sendAll sends batches 1 to count, and tells what stopped it.
func sendAll(stream *ingest.Stream, count uint64) <-chan error {
	stopped := make(chan error, 1)
	go func() {
		for sequence := range count {
			if err := stream.Send(numbered(sequence + 1)); err != nil {
				stopped <- err
				return
			}
		}
		stopped <- nil
	}()
	return stopped
}

func TestNoMoreIsSentThanTheCreditAllows(t *testing.T) {
	serve(t, 1000, func(s *server, stream *ingest.Stream) {
		stopped := sendAll(stream, 6)
		for _, step := range []struct{ acked, credit, received uint64 }{
			{0, 1000, 2}, {1, 1000, 3}, {3, 1200, 6}, {6, 1000, 6},
		} {
			s.respond <- &skbpoolv1.IngestResponse{AckedThrough: step.acked, Credit: step.credit}
			synctest.Wait()
			if got := uint64(len(s.received)); got != step.received {
				t.Errorf("%d batches after %+v", got, step)
			}
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		go func() { s.end <- nil }()
		if answer, err := stream.Finish(); err != nil || answer.GetAckedThrough() != 6 {
			t.Errorf("%v, %v", answer, err)
		}
	})
}

func TestABatchOverTheCreditIsSentAlone(t *testing.T) {
	serve(t, 1, func(s *server, stream *ingest.Stream) {
		stopped := sendAll(stream, 3)
		for acked := range uint64(3) {
			s.respond <- &skbpoolv1.IngestResponse{AckedThrough: acked, Credit: 1}
			synctest.Wait()
			if got := uint64(len(s.received)); got != acked+1 {
				t.Errorf("%d batches after %d were acknowledged", got, acked)
			}
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		s.end <- nil
	})
}

func TestARefusalReachesWhoeverWaitsForCredit(t *testing.T) {
	serve(t, 400, func(s *server, stream *ingest.Stream) {
		stopped := sendAll(stream, 3)
		s.respond <- &skbpoolv1.IngestResponse{AckedThrough: 1, Accepted: 1, Credit: 400}
		synctest.Wait()
		s.end <- status.Error(codes.InvalidArgument, "malformed")
		if err := <-stopped; status.Code(err) != codes.InvalidArgument {
			t.Errorf("Send: %v", err)
		}
		answer, err := stream.Finish()
		if status.Code(err) != codes.InvalidArgument || answer.GetAccepted() != 1 {
			t.Errorf("Finish: %v, %v", answer, err)
		}
	})
}

func TestAStreamThatEndsBeforeAllIsAcknowledgedIsAnError(t *testing.T) {
	serve(t, 1000, func(s *server, stream *ingest.Stream) {
		if err := stream.Send(numbered(1)); err != nil {
			t.Fatal(err)
		}
		go func() { s.end <- nil }()
		if _, err := stream.Finish(); err == nil {
			t.Error("no error")
		}
	})
}
