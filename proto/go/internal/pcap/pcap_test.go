package pcap_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"skbpool.dev/go/internal/batch"
	"skbpool.dev/go/internal/pcap"
)

const maxFrame = 1000

// capture returns a file of one frame, as another program would write it.
func capture(order binary.AppendByteOrder, magic, fraction uint32, data []byte) []byte {
	file := order.AppendUint32(nil, magic)
	for _, word := range []uint32{4<<16 | 2, 0, 0, 65_535, 1<<28 | 101} {
		file = order.AppendUint32(file, word)
	}
	for _, word := range []uint32{3_000_000_000, fraction, uint32(len(data)), 1500} {
		file = order.AppendUint32(file, word)
	}
	return append(file, data...)
}

func read(file []byte) ([]batch.Frame, error) {
	reader, err := pcap.NewReader(bytes.NewReader(file), maxFrame)
	if err != nil {
		return nil, err
	}
	var frames []batch.Frame
	for {
		frame, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		frame.Data = bytes.Clone(frame.Data)
		frames = append(frames, frame)
	}
}

func TestEveryByteOrderAndResolution(t *testing.T) {
	for name, file := range map[string][]byte{
		"big, us":    capture(binary.BigEndian, 0xa1b2c3d4, 123_456, []byte("frame")),
		"little, us": capture(binary.LittleEndian, 0xa1b2c3d4, 123_456, []byte("frame")),
		"big, ns":    capture(binary.BigEndian, 0xa1b23c4d, 123_456_000, []byte("frame")),
		"little, ns": capture(binary.LittleEndian, 0xa1b23c4d, 123_456_000, []byte("frame")),
	} {
		frames, err := read(file)
		if err != nil || len(frames) != 1 {
			t.Errorf("%s: %v, %v", name, frames, err)
			continue
		}
		frame := frames[0]
		if string(frame.Data) != "frame" || frame.TimeNs != 3_000_000_000_123_456_000 ||
			frame.OriginalLength != 1500 || frame.LinkType != 101 {
			t.Errorf("%s: %+v", name, frame)
		}
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	var file bytes.Buffer
	writer := pcap.NewWriter(&file)
	written := []batch.Frame{
		{Data: []byte("one"), TimeNs: 1_999_999_999, OriginalLength: 3, LinkType: 1},
		{Data: nil, TimeNs: 2_000_000_000, OriginalLength: 70_000, LinkType: 1},
	}
	for _, frame := range written {
		if err := writer.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	frames, err := read(file.Bytes())
	if err != nil || len(frames) != len(written) {
		t.Fatalf("%v, %v", frames, err)
	}
	for at, frame := range frames {
		want := written[at]
		if !bytes.Equal(frame.Data, want.Data) || frame.TimeNs != want.TimeNs ||
			frame.OriginalLength != want.OriginalLength || frame.LinkType != want.LinkType {
			t.Errorf("frame %d: %+v, want %+v", at, frame, want)
		}
	}
	if writer.Write(batch.Frame{LinkType: 101}) == nil {
		t.Error("a second link type was written")
	}
	if writer.Write(batch.Frame{LinkType: 1, TimeNs: 1e9 << 32}) == nil {
		t.Error("a time of more than 32 bits was written")
	}
}

func TestFaultsTellTheirRecord(t *testing.T) {
	whole := capture(binary.LittleEndian, 0xa1b2c3d4, 0, []byte("frame"))
	huge := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(huge[32:], maxFrame+1)
	for name, c := range map[string]struct {
		file   []byte
		frames int
		record int
	}{
		"nothing":           {nil, 0, 0},
		"half a header":     {whole[:20], 0, 0},
		"another format":    {append([]byte{0x0a, 0x0d, 0x0d, 0x0a}, whole[4:]...), 0, 0},
		"half a record":     {whole[:30], 0, 1},
		"half a frame":      {whole[:len(whole)-1], 0, 1},
		"no frame":          {whole[:40], 0, 1},
		"a huge length":     {huge, 0, 1},
		"half a second one": {append(bytes.Clone(whole), 1, 2, 3), 1, 2},
	} {
		frames, err := read(c.file)
		var fault *pcap.FaultError
		if !errors.As(err, &fault) || fault.Record != c.record || len(frames) != c.frames {
			t.Errorf("%s: %d frames, %v", name, len(frames), err)
		}
	}
}
