// Package tlsfiles serves TLS with a certificate from files that may be
// replaced at any time. A handshake uses what was read last as a whole; what
// cannot be used changes nothing.
package tlsfiles

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Files are where certificate and key are.
type Files struct {
	Cert     string // the certificate and those that lead to its authority, in PEM
	Key      string // its private key, in PEM
	ClientCA string // those who may sign certificates of clients, in PEM; empty: clients need none
}

// Server is the TLS of a server. Its methods are safe for concurrent use.
type Server struct {
	files   Files
	reading sync.Mutex // only one Reload at a time
	current atomic.Pointer[generation]
}

// generation is what was read at one time.
type generation struct {
	sum    [sha256.Size]byte // of all files
	leaf   *x509.Certificate
	config *tls.Config
	ca     []byte // the authorities of clients
}

// Error is a file that cannot be used.
type Error struct {
	Field   string // cert_file, key_file or client_ca_file
	Problem string
	Remedy  string
}

func (e *Error) Error() string { return e.Field + " " + e.Problem + ": " + e.Remedy }

// Load reads the files for the first time.
func Load(files Files) (*Server, error) {
	s := &Server{files: files}
	_, err := s.Reload()
	return s, err
}

// Reload reads the files again, and reports whether they have changed. After an
// error, an *Error, what was in use before stays in use.
func (s *Server) Reload() (changed bool, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	next, err := read(s.files)
	if err != nil {
		return false, err
	}
	before, now := s.current.Load(), time.Now()
	switch {
	case before == nil:
	case before.sum == next.sum:
		return false, nil
	case now.After(next.leaf.NotAfter) && !now.After(before.leaf.NotAfter):
		return false, &Error{"cert_file", "expired at " + next.leaf.NotAfter.UTC().Format(time.RFC3339) + ", and the one before has not", "put the renewed certificate there"}
	}
	s.current.Store(next)
	return true, nil
}

// Leaf is the certificate in use.
func (s *Server) Leaf() *x509.Certificate { return s.current.Load().leaf }

// Chain is the certificate in use, and those after it in its file.
func (s *Server) Chain() []*x509.Certificate {
	var chain []*x509.Certificate
	for _, der := range s.current.Load().config.Certificates[0].Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, cert)
		}
	}
	return chain
}

// Authorities are those that may sign certificates of clients.
func (s *Server) Authorities() []*x509.Certificate {
	var all []*x509.Certificate
	for data := s.current.Load().ca; ; {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return all
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, cert)
		}
	}
}

// Config is the configuration of a server that uses, for each handshake, what
// was read last.
func (s *Server) Config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().config, nil },
	}
}

func read(files Files) (*generation, error) {
	cert, err := readFile("cert_file", files.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readFile("key_file", files.Key)
	if err != nil {
		return nil, err
	}
	pair, err := pairOf(cert, key)
	if err != nil {
		return nil, err
	}
	g := &generation{leaf: pair.Leaf, config: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
	}}
	var clientCA []byte
	if files.ClientCA != "" {
		if clientCA, err = readFile("client_ca_file", files.ClientCA); err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(clientCA) {
			return nil, &Error{"client_ca_file", "holds no certificate", "put the authority's certificate there, in PEM"}
		}
		g.config.ClientCAs, g.config.ClientAuth = pool, tls.RequireAndVerifyClientCert
		// A ticket would vouch for a certificate after its authority has been
		// taken off the file.
		g.config.SessionTicketsDisabled = true
	}
	g.ca = clientCA
	g.sum = sha256.Sum256(bytes.Join([][]byte{cert, key, clientCA}, []byte{0}))
	return g, nil
}

// pairOf finds out which of the two files is wrong.
func pairOf(cert, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err == nil {
		return pair, nil
	}
	switch {
	case !hasBlock(cert, "CERTIFICATE"):
		return pair, &Error{"cert_file", "holds no certificate", "put the certificate there, in PEM, followed by those that lead to its authority"}
	case !hasBlock(key, "PRIVATE KEY"):
		return pair, &Error{"key_file", "holds no private key", "put the certificate's private key there, in PEM and without a password"}
	case strings.Contains(err.Error(), "does not match"):
		return pair, &Error{"key_file", "is not the key of cert_file", "replace both; if one is being replaced right now, the other will follow"}
	}
	return pair, &Error{"cert_file", "and key_file cannot be used (" + err.Error() + ")", "make them again, in PEM"}
}

// hasBlock reports whether data has a whole PEM block of a kind, such as EC
// PRIVATE KEY for PRIVATE KEY.
func hasBlock(data []byte, kind string) bool {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, kind) {
			return true
		}
	}
}

// maxSize bounds a file. Authorities of a whole company fit.
const maxSize = 1 << 20

func readFile(field, path string) ([]byte, error) {
	failed := func(err error) error {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return &Error{field, fmt.Sprintf("cannot be read: %s (%v)", path, err), fmt.Sprintf("let user %d read it", os.Getuid())}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, failed(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return nil, failed(err)
	case len(data) > maxSize:
		return nil, &Error{field, "is larger than 1 MiB: " + path, "is it the right file?"}
	}
	return data, nil
}
