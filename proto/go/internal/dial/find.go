package dial

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	serverVariable = "SKBPOOL_SERVER"
	systemSocket   = "/run/skbpool/skbpool.sock"
	socketName     = "skbpool.sock"
)

// Find returns the address of the daemon that a client talks to which was told none, as the command
// skbpool finds it: what SKBPOOL_SERVER says, else the first of the default sockets that is there,
// else the first of them, so that an error can name it.
func Find() string {
	return find(systemSocket)
}

func find(system string) string {
	if told := os.Getenv(serverVariable); told != "" {
		return told
	}
	private := filepath.Join(os.TempDir(), fmt.Sprintf("skbpool-%d", os.Getuid()))
	candidates := []string{system}
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		candidates = append(candidates, filepath.Join(runtime, socketName))
	}
	if isOurs(private) {
		candidates = append(candidates, filepath.Join(private, socketName))
	}
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
			return "unix:" + path
		}
	}
	return "unix:" + system
}

// isOurs tells whether nobody else can have put a socket into a folder where anybody makes folders.
func isOurs(folder string) bool {
	info, err := os.Lstat(folder)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	system, known := info.Sys().(*syscall.Stat_t)
	return known && int(system.Uid) == os.Getuid()
}
