package doctor

import (
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/tlsfiles"
)

// soon is when the end of a certificate is near: authorities that issue for 90
// days renew a month before, so that something is wrong by now.
const soon = 14 * 24 * time.Hour

// TLS checks the certificate of the HTTP API.
func (r *Report) TLS(c *config.Config) {
	server, err := c.LoadTLS()
	switch {
	case err != nil:
		r.fail("tls", err)
		return
	case server == nil:
		return
	}
	r.names(server.Leaf(), c)
	r.chain(server)
	if info, err := os.Stat(c.TLS.KeyFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		r.warn("tls", "chmod 600 it, or 640 for a group", "%s has permissions %04o, so that others may read the key", c.TLS.KeyFile, info.Mode().Perm())
	}
	for _, authority := range server.Authorities() {
		r.expiry("the authority of clients "+authority.Subject.CommonName, authority)
	}
	r.expiry("the certificate", server.Leaf())
}

// expiry judges the end of a certificate.
func (r *Report) expiry(what string, cert *x509.Certificate) {
	now, end := time.Now(), cert.NotAfter.UTC().Format(time.RFC3339)
	days := int(cert.NotAfter.Sub(now) / (24 * time.Hour))
	const renew = "renew it; serve takes the new files by itself"
	switch {
	case now.Before(cert.NotBefore):
		r.Add(Finding{Fail, "tls", what + " is valid only from " + cert.NotBefore.UTC().Format(time.RFC3339), "check the clock of this machine"})
	case !now.Before(cert.NotAfter):
		r.Add(Finding{Fail, "tls", what + " expired at " + end, renew})
	case cert.NotAfter.Sub(now) < soon:
		r.warn("tls", renew, "%s expires in %s, at %s", what, plain.Count(days, "day"), end)
	default:
		r.ok("tls", "%s is valid for %s, until %s", what, plain.Count(days, "day"), end)
	}
}

// names checks that clients find the name that they ask for.
func (r *Report) names(cert *x509.Certificate, c *config.Config) {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		r.Add(Finding{Fail, "tls", "the certificate has no name that a client would accept", "make it with subject alternative names; a common name alone is ignored"})
		return
	}
	address, listens := c.Address()
	if host := address.Host(); listens && host != "" && !isWildcard(host) && cert.VerifyHostname(host) != nil {
		r.warn("tls", "use one of those names in the clients, or make a certificate for this one", "the certificate is not for %s but for %s", host, some(names))
		return
	}
	r.ok("tls", "the certificate is for %s", some(names))
}

func isWildcard(host string) bool { return strings.Trim(host, "0.:") == "" }

// chain looks whether a client that trusts what this machine trusts would
// accept the certificate.
func (r *Report) chain(server *tlsfiles.Server) {
	if time.Now().After(server.Leaf().NotAfter) {
		return // nobody accepts it, whoever signed it
	}
	intermediates := x509.NewCertPool()
	for _, cert := range server.Chain()[1:] {
		intermediates.AddCert(cert)
	}
	_, err := server.Leaf().Verify(x509.VerifyOptions{Intermediates: intermediates})
	if err != nil {
		r.warn("tls", "give it to the clients, or add the certificates that lead to a public one to cert_file", "this machine does not trust the authority %q", server.Leaf().Issuer.CommonName)
	}
}
