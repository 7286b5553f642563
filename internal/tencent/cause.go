package tencent

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
)

// cause returns the part of err that may be shown: errors of the standard
// library that consist of addresses and fixed texts. It returns nil for all
// others. A context's end is always part of it, with the reason that was given
// for that.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if reason := context.Cause(ctx); !errors.Is(reason, ctx.Err()) {
			return errors.Join(ctx.Err(), reason)
		}
		return ctx.Err()
	}
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		errno       syscall.Errno
	)
	switch {
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return nil
}

// systemText is what the operating system calls err, such as "connection
// refused".
func systemText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "the reason is not known"
}
