// Package dial connects to a daemon by the addresses that the command skbpool takes.
package dial

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// tlsScheme is what an address of a port that speaks TLS begins with.
const tlsScheme = "grpcs://"

// ReceiveLimit is the largest message that is taken, in bytes. A daemon's max_message_bytes may be more.
const ReceiveLimit = 64 << 20

// TLS names PEM files. The zero value trusts the system's authorities and shows no certificate.
type TLS struct {
	// CA holds the authorities that may have signed the daemon's certificate; empty: the system's.
	CA string
	// Certificate and PrivateKey say who this client is; empty: nobody.
	Certificate, PrivateKey string
}

// Address is where a daemon listens.
type Address struct {
	target string
	tls    bool
}

// Parse reads unix:PATH, HOST:PORT or grpcs://HOST:PORT, an IPv6 host in brackets.
func Parse(text string) (Address, error) {
	if path, isUnix := strings.CutPrefix(text, "unix:"); isUnix {
		path = strings.TrimPrefix(path, "//") // unix:///absolute/path, the URL form
		if path == "" {
			return Address{}, fmt.Errorf("%q names no socket: write unix:PATH", text)
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return Address{}, fmt.Errorf("%q: %v", text, err)
		}
		// As a URI, since some characters of a path mean something in it.
		return Address{target: (&url.URL{Scheme: "unix", Path: absolute}).String()}, nil
	}
	place, isTLS := strings.CutPrefix(text, tlsScheme)
	host, port, err := net.SplitHostPort(place)
	if err != nil || host == "" || port == "" || strings.Contains(host, "/") {
		return Address{}, fmt.Errorf(
			"%q is not an address: write unix:PATH, HOST:PORT or grpcs://HOST:PORT", text)
	}
	return Address{target: "dns:///" + net.JoinHostPort(host, port), tls: isTLS}, nil
}

// Open returns a connection that is made when it is first used. A TCP address is spoken to in TLS
// if it says so or if files names any.
func Open(address Address, files TLS) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if address.tls || files != (TLS{}) {
		if strings.HasPrefix(address.target, "unix:") {
			return nil, fmt.Errorf("%s is a Unix socket, which speaks no TLS", address.target)
		}
		config, err := files.config()
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(config)
	}
	return grpc.NewClient(
		address.target,
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(ReceiveLimit)),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(), // frames are not sent twice
		// A daemon that is stopped or cut off is noticed.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:    30 * time.Second,
			Timeout: 10 * time.Second,
		}),
	)
}

func (files TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("the authorities of TLS: %v", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: holds no PEM certificate", files.CA)
		}
	}
	if (files.Certificate == "") != (files.PrivateKey == "") {
		return nil, fmt.Errorf("a client's certificate and its private key need each other")
	}
	if files.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(files.Certificate, files.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %v", files.Certificate, files.PrivateKey, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
