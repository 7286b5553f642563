package config

import (
	"errors"
	"io/fs"
	"strconv"

	"github.com/mintonce/mintonce/internal/listen"
	"github.com/mintonce/mintonce/internal/tlsfiles"
)

// Address is where the HTTP API listens, if it does.
func (c *Config) Address() (address listen.Address, ok bool) {
	address, err := listen.Parse(c.Listen)
	return address, err == nil && c.Listen != ""
}

// SocketMode is the mode of the Unix socket, and 0 for the default.
func (c *Config) SocketMode() fs.FileMode {
	mode, _ := strconv.ParseUint(c.ListenMode, 8, 32)
	return fs.FileMode(mode)
}

// Enabled reports whether the HTTP API speaks TLS.
func (t TLS) Enabled() bool { return t != TLS{} }

// Files are those of the certificate.
func (t TLS) Files() tlsfiles.Files {
	return tlsfiles.Files{Cert: t.CertFile, Key: t.KeyFile, ClientCA: t.ClientCAFile}
}

func (c *Config) checkListen() error {
	if c.ListenMode != "" {
		// What is more than read and write means nothing for a socket.
		if mode, err := strconv.ParseUint(c.ListenMode, 8, 32); err != nil || mode&^0o666 != 0 || mode&0o600 != 0o600 {
			return c.wrong("listen_mode", "is not the mode of a socket", `use "0600", "0660" for a group too, or "0666" for everybody on this machine`)
		}
	}
	if c.Listen == "" {
		return nil
	}
	address, err := listen.Parse(c.Listen)
	if err != nil {
		return c.wrong("listen", err.Error(), "")
	}
	if !address.Local() && len(c.Clients) == 0 {
		return c.wrong("listen", "can be reached by others than this machine, and no clients are set",
			"list clients with their keys in the config file, or listen on 127.0.0.1:%s", address.Port())
	}
	return nil
}

func (c *Config) checkTLS() error {
	address, listens := c.Address()
	switch {
	case !c.TLS.Enabled():
	case c.TLS.CertFile == "":
		return c.wrong("tls.cert_file", "is missing", "name the file of the certificate, or leave out tls")
	case c.TLS.KeyFile == "":
		return c.wrong("tls.key_file", "is missing", "name the file of the certificate's private key, or leave out tls")
	case listens && address.IsUnix():
		return c.wrong("tls", "is of no use on a Unix socket", "leave it out, or listen on HOST:PORT")
	}
	return nil
}

// LoadTLS reads the files of the certificate; nil without TLS.
func (c *Config) LoadTLS() (*tlsfiles.Server, error) {
	if !c.TLS.Enabled() {
		return nil, nil
	}
	server, err := tlsfiles.Load(c.TLS.Files())
	if err != nil {
		return nil, c.WrongTLS(err)
	}
	return server, nil
}

// WrongTLS says where in the config a file stands that cannot be used.
func (c *Config) WrongTLS(err error) error {
	var wrong *tlsfiles.Error
	if errors.As(err, &wrong) {
		return c.wrong("tls."+wrong.Field, wrong.Problem, "%s", wrong.Remedy)
	}
	return err
}
