// Package refusal tells what a daemon says beside a status: the details of google.rpc.
package refusal

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	// What the details may be, so that they can be shown.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "skbpool.dev/go/skbpool/v1"
)

// Lines returns an error of a call as people read it: code and text, then a line for each detail,
// its type and its fields as JSON.
func Lines(err error) []string {
	told := status.Convert(err)
	lines := []string{fmt.Sprintf("%s: %s", code.Code(told.Code()), told.Message())}
	for _, detail := range told.Proto().GetDetails() {
		lines = append(lines, line(detail))
	}
	return lines
}

func line(detail *anypb.Any) string {
	name := string(detail.MessageName())
	message, err := detail.UnmarshalNew()
	if err != nil {
		return name + ": not known to this client"
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		return name + ": " + err.Error()
	}
	// How protojson spaces differs from build to build, on purpose.
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return name + ": " + err.Error()
	}
	return name + " " + compact.String()
}
