package dial

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestParse(t *testing.T) {
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]Address{
		"unix:/run/s.sock":     {target: "unix:///run/s.sock"},
		"unix:///run/s.sock":   {target: "unix:///run/s.sock"},
		"unix:/run/a b%2f?#":   {target: "unix:///run/a%20b%252f%3F%23"},
		"unix:s.sock":          {target: "unix://" + filepath.Join(folder, "s.sock")},
		"127.0.0.1:50051":      {target: "dns:///127.0.0.1:50051"},
		"[::1]:50051":          {target: "dns:///[::1]:50051"},
		"grpcs://localhost:50": {target: "dns:///localhost:50", tls: true},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "unix:", "localhost", ":50", "host:", "::1:50", "http://host:50"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestFind(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("SKBPOOL_SERVER", "127.0.0.1:50051")
	if found := Find(); found != "127.0.0.1:50051" {
		t.Errorf("%s, not what the environment names", found)
	}
	t.Setenv("SKBPOOL_SERVER", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", folder)
	system := filepath.Join(folder, "system.sock")
	private := filepath.Join(folder, fmt.Sprintf("skbpool-%d", os.Getuid()))
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(private, socketName)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if found := find(system); found != "unix:"+socket {
		t.Errorf("%s, not the private socket", found)
	}
	if err := os.Chmod(private, 0o755); err != nil {
		t.Fatal(err)
	}
	if found := find(system); found != "unix:"+system {
		t.Errorf("%s, where others may have put a socket", found)
	}
}

func TestAUnixSocketSpeaksNoTLS(t *testing.T) {
	address, err := Parse("unix:/run/s.sock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(address, TLS{CA: "ca.pem"}); err == nil {
		t.Error("no error")
	}
}
