// Command skbpool-go drives a daemon with nothing but what is generated from its .proto files: it
// ingests frames, allocates buffers, and subscribes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skbpool.dev/go/internal/pcap"
	"skbpool.dev/go/internal/refusal"
)

const usage = `usage: skbpool-go COMMAND [FLAG]...

  ingest     send frames of a capture file, or made ones, and tell what became of them
  allocate   take buffers, write and read them, make skbs of them, let go
  subscribe  take frames out, and tell which were missed

skbpool-go COMMAND -h shows the flags. Results are JSON on standard output.
Exit codes: 0 done or stopped, 1 failed, 2 usage, 4 unreachable, 5 refused, 6 capture file at fault.
`

// The exit codes that the command skbpool has too.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitUnreachable = 4
	exitRefused     = 5
	exitCapture     = 6
)

// errUsage says that what is wrong was told already, by the parser of flags.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, arguments []string, out, messages io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"ingest":    runIngest,
		"allocate":  runAllocate,
		"subscribe": runSubscribe,
	}
	if len(arguments) == 0 || commands[arguments[0]] == nil {
		fmt.Fprint(messages, usage)
		return exitUsage
	}
	err := commands[arguments[0]](ctx, arguments[1:], out, messages)
	if err != nil && !errors.Is(err, errUsage) && !errors.Is(err, flag.ErrHelp) {
		tell(messages, err)
	}
	return exitCode(err)
}

// tell prints an error; of a call, with the details of its status.
func tell(messages io.Writer, err error) {
	if _, isStatus := status.FromError(err); !isStatus {
		fmt.Fprintln(messages, "skbpool-go:", err)
		return
	}
	for number, line := range refusal.Lines(err) {
		if number == 0 {
			fmt.Fprintln(messages, "skbpool-go:", line)
		} else {
			fmt.Fprintln(messages, " ", line)
		}
	}
}

func exitCode(err error) int {
	var fault *pcap.FaultError
	var file *fs.PathError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.As(err, &fault) || errors.As(err, &file):
		return exitCapture
	}
	told, isStatus := status.FromError(err)
	if !isStatus {
		return exitFailure
	}
	switch told.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return exitUnreachable
	default:
		return exitRefused
	}
}
