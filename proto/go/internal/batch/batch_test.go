package batch_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"skbpool.dev/go/internal/batch"
	skbpoolv1 "skbpool.dev/go/skbpool/v1"
)

func pack(maxBytes int, frames []batch.Frame) []*skbpoolv1.FrameBatch {
	packer := batch.NewPacker(maxBytes)
	var batches []*skbpoolv1.FrameBatch
	for _, frame := range frames {
		if full := packer.Add(frame); full != nil {
			batches = append(batches, full)
		}
	}
	if last := packer.Flush(); last != nil {
		batches = append(batches, last)
	}
	return batches
}

func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var frames []batch.Frame
	for number := range uint64(5000) {
		data := make([]byte, dice.IntN(300))
		for at := range data {
			data[at] = byte(dice.Uint32())
		}
		frame := batch.Frame{Data: data, OriginalLength: uint32(len(data)), LinkType: 1}
		frame.TimeNs = number*1e7 + dice.Uint64N(1e6)
		if number%7 == 0 {
			frame.OriginalLength += dice.Uint32N(1000)
		}
		if number > 4000 {
			frame.LinkType = 101
		}
		frames = append(frames, frame)
	}
	const maxBytes = 65_536
	batches := pack(maxBytes, frames)
	at := 0
	for number, each := range batches {
		if each.GetSequence() != uint64(number+1) {
			t.Errorf("batch %d has sequence %d", number, each.GetSequence())
		}
		if size := proto.Size(&skbpoolv1.IngestRequest{Batch: each}); size > maxBytes {
			t.Errorf("batch %d has %d bytes", number, size)
		}
		found, err := batch.Frames(each)
		if err != nil {
			t.Fatal(err)
		}
		for frame := range found {
			want := frames[at]
			if !bytes.Equal(frame.Data, want.Data) || frame.TimeNs != want.TimeNs ||
				frame.OriginalLength != want.OriginalLength || frame.LinkType != want.LinkType {
				t.Fatalf("frame %d came out as %+v, and went in as %+v", at, frame, want)
			}
			at++
		}
	}
	if at != len(frames) {
		t.Errorf("%d of %d frames came out", at, len(frames))
	}
}

func TestAnotherBatchBegins(t *testing.T) {
	at := func(timeNs uint64, linkType uint32) batch.Frame {
		return batch.Frame{Data: make([]byte, 100), TimeNs: timeNs, LinkType: linkType}
	}
	const begin = 10_000_000_000
	for _, c := range []struct {
		name     string
		maxBytes int
		second   batch.Frame
		batches  int
	}{
		{"not where all is alike", 1000, at(begin, 1), 1},
		{"not at the last offset of 32 bits", 1000, at(begin+math.MaxUint32, 1), 1},
		{"where an offset has more than 32 bits", 1000, at(begin+math.MaxUint32+1, 1), 2},
		{"where a frame is older than the first", 1000, at(begin-1, 1), 2},
		{"where the link type changes", 1000, at(begin, 101), 2},
		{"where the message would be too large", 450, at(begin, 1), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := len(pack(c.maxBytes, []batch.Frame{at(begin, 1), c.second})); got != c.batches {
				t.Errorf("%d batches, want %d", got, c.batches)
			}
		})
	}
}

func TestColumnsThatSayNothingAreLeftOut(t *testing.T) {
	frames := []batch.Frame{{Data: []byte{1}, TimeNs: 5}, {Data: []byte{2}, TimeNs: 5}}
	plain := pack(1000, frames)[0]
	if len(plain.GetTimeOffsetNs()) != 0 || len(plain.GetOriginalLength()) != 0 {
		t.Errorf("columns in %v", plain)
	}
	frames[1].TimeNs, frames[1].OriginalLength = 6, 9
	full := pack(1000, frames)[0]
	if len(full.GetTimeOffsetNs()) != 2 || len(full.GetOriginalLength()) != 2 {
		t.Errorf("no columns in %v", full)
	}
}

func TestABatchThatContradictsItselfIsAnError(t *testing.T) {
	for name, wrong := range map[string]*skbpoolv1.FrameBatch{
		"lengths over the frames":  {Frames: make([]byte, 9), Length: []uint32{5, 5}},
		"lengths under the frames": {Frames: make([]byte, 11), Length: []uint32{5, 5}},
		"lengths over 32 bits":     {Frames: nil, Length: []uint32{1 << 31, 1 << 31}},
		"too few times":            {Frames: make([]byte, 2), Length: []uint32{1, 1}, TimeOffsetNs: []uint32{1}},
		"too many originals":       {Frames: make([]byte, 1), Length: []uint32{1}, OriginalLength: []uint32{1, 2}},
	} {
		if _, err := batch.Frames(wrong); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
