package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skbpool.dev/go/internal/dial"
	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

// options are the flags of every command: where the daemon is, and how long it may take to answer.
type options struct {
	flags   *flag.FlagSet
	server  string
	address dial.Address
	tls     dial.TLS
	timeout time.Duration
}

func newOptions(command string, messages io.Writer) *options {
	o := &options{flags: flag.NewFlagSet("skbpool-go "+command, flag.ContinueOnError)}
	o.flags.SetOutput(messages)
	o.flags.StringVar(&o.server, "server", dial.Find(),
		"`address` of the daemon: unix:PATH, HOST:PORT or grpcs://HOST:PORT")
	o.flags.StringVar(&o.tls.CA, "tls-ca", os.Getenv("SKBPOOL_TLS_CA"),
		"PEM `file` of the authorities that may have signed the daemon's certificate")
	o.flags.StringVar(&o.tls.Certificate, "tls-certificate", os.Getenv("SKBPOOL_TLS_CERTIFICATE"),
		"PEM `file` of this client's certificate")
	o.flags.StringVar(&o.tls.PrivateKey, "tls-private-key", os.Getenv("SKBPOOL_TLS_PRIVATE_KEY"),
		"PEM `file` of its key")
	o.flags.DurationVar(&o.timeout, "timeout", 10*time.Second,
		"how long a call may take, or a stream to open")
	return o
}

// parse reads the flags; check says what is wrong with their values, "" if nothing is.
func (o *options) parse(arguments []string, check func() string) error {
	if err := o.flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	var wrong string
	var err error
	if o.address, err = dial.Parse(o.server); err != nil {
		wrong = err.Error()
	} else if o.flags.NArg() > 0 {
		wrong = fmt.Sprintf("%q is no flag", o.flags.Arg(0))
	} else if o.timeout <= 0 {
		wrong = "-timeout is more than 0"
	} else {
		wrong = check()
	}
	if wrong != "" {
		fmt.Fprintf(o.flags.Output(), "skbpool-go: %s\n", wrong)
		return errUsage
	}
	return nil
}

// connect returns a connection to the daemon, and what both sides allow.
func (o *options) connect(ctx context.Context) (*grpc.ClientConn, *skbpoolv1.Limits, error) {
	files := o.tls
	if strings.HasPrefix(o.server, "unix:") && !o.named("tls-ca", "tls-certificate", "tls-private-key") {
		files = dial.TLS{} // the environment names them for ports
	}
	conn, err := dial.Open(o.address, files)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	request := &skbpoolv1.GetServerInfoRequest{}
	info, err := skbpoolv1.NewServerServiceClient(conn).GetServerInfo(ctx, request)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	limits := info.GetLimits()
	if limits == nil {
		conn.Close()
		return nil, nil, fmt.Errorf("%s told no limits: it is no daemon of skbpool", o.server)
	}
	limits.MaxMessageBytes = min(limits.GetMaxMessageBytes(), dial.ReceiveLimit)
	return conn, limits, nil
}

// named tells whether one of the flags was given.
func (o *options) named(names ...string) bool {
	found := false
	o.flags.Visit(func(given *flag.Flag) {
		for _, name := range names {
			found = found || given.Name == name
		}
	})
	return found
}

// opening bounds how long a stream may take to open: ctx ends after the timeout unless opened is
// called before. The stream itself has no deadline.
func (o *options) opening(parent context.Context) (ctx context.Context, opened, cancel func()) {
	ctx, cancelCause := context.WithCancelCause(parent)
	timer := time.AfterFunc(o.timeout, func() {
		text := fmt.Sprintf("the stream was not open after %v", o.timeout)
		cancelCause(status.Error(codes.DeadlineExceeded, text))
	})
	return ctx, func() { timer.Stop() }, func() { timer.Stop(); cancelCause(nil) }
}

// because returns why a stream's context ended, where that says more than that it did.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); status.Code(err) == codes.Canceled && status.Code(cause) == codes.DeadlineExceeded {
		return cause
	}
	return err
}

func printJSON(out io.Writer, result any) error {
	return json.NewEncoder(out).Encode(result)
}

// framesByReason returns totals under the names that metrics have: ring_full.
func framesByReason(totals map[string]uint64, counts []*skbpoolv1.DropCount) map[string]uint64 {
	for _, count := range counts {
		name := strings.ToLower(strings.TrimPrefix(count.GetReason().String(), "DROP_REASON_"))
		totals[name] += count.GetFrames()
	}
	return totals
}
