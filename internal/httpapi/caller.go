package httpapi

import (
	"context"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/limit"
)

// Limits are what the callers of an API have used up. Their zero value is
// ready.
type Limits struct {
	rates   limit.Rates
	guesses limit.Guesses
}

func (l *Limits) set(clients []config.Client) {
	rates := make(map[string]float64, len(clients))
	for _, c := range clients {
		rates[c.Name] = c.Rate
		if c.Rate == 0 {
			rates[c.Name] = config.DefaultRate
		}
	}
	l.rates.Set(rates)
}

// caller is who sent a request: a client, or a process of this machine.
type caller struct{ client *config.Client }

// asking is a context under which the history tells who asked for what.
func (c caller) asking(ctx context.Context) context.Context {
	if c.client == nil {
		return coordinator.WithActor(ctx, "a local caller of the API")
	}
	return coordinator.WithActor(ctx, "client "+c.client.Name)
}

// denial is why somebody is not let in. Each part of the API says it in its own
// form.
type denial struct {
	reason denied
	after  time.Duration // when it makes sense to try again; 0 for later
}

type denied int

const (
	noKey      denied = iota
	wrongKey          // of no client
	wrongKeys         // and one of very many from this address
	tooQuickly        // a client that exceeds its rate
)

// identify finds the caller by the key that the request carries, wherever it
// does. It counts the request against the caller's rate, and a wrong key
// against the address: call it once for a request.
func (a *api) identify(r *http.Request, key string) (caller, *denial) {
	if len(a.Clients) == 0 {
		return caller{}, nil // admit has seen that it is local
	}
	var client *config.Client
	if key != "" {
		if client = a.keys.Client(key); client == nil {
			return caller{}, a.wrong(r)
		}
	} else if client = a.certified(r); client == nil {
		return caller{}, &denial{reason: noKey}
	}
	note(r, client.Name)
	if wait := a.Limits.rates.Take(client.Name); wait > 0 {
		return caller{}, &denial{tooQuickly, wait}
	}
	return caller{client}, nil
}

// certified finds the client by the certificate that it has shown, and that was
// checked at the handshake. A certificate with the names of two clients stands
// for neither.
func (a *api) certified(r *http.Request) *config.Client {
	if len(a.certs) == 0 || r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	cert := r.TLS.VerifiedChains[0][0]
	if time.Now().After(cert.NotAfter) {
		return nil // it has ended since the handshake
	}
	var found *config.Client
	for _, name := range certNames(cert) {
		if client := a.certs[name]; client != nil && client != found {
			if found != nil {
				return nil
			}
			found = client
		}
	}
	return found
}

// certNames are the names of a certificate: DNS names and URIs, such as SPIFFE
// has; and its common name, if that is all it has.
func certNames(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	if len(names) == 0 && len(cert.IPAddresses) == 0 && len(cert.EmailAddresses) == 0 && cert.Subject.CommonName != "" {
		names = []string{cert.Subject.CommonName}
	}
	return names
}

// wrong is the answer to a wrong key.
func (a *api) wrong(r *http.Request) *denial {
	verdict := a.Limits.guesses.Note(r.RemoteAddr)
	if verdict.First {
		a.Log.Warn("many wrong keys: see who sends them; right keys from there are served", "from", r.RemoteAddr)
	}
	if verdict.Wait > 0 {
		return &denial{wrongKeys, verdict.Wait}
	}
	return &denial{reason: wrongKey}
}

// authenticate finds the caller of a path below /v1, whose key belongs into the
// header Authorization.
func (a *api) authenticate(r *http.Request) (caller, *problem) {
	if problem := misplaced(r); problem != nil {
		return caller{}, problem
	}
	key := ""
	if scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(rest)
	}
	who, denial := a.identify(r, key)
	if denial != nil {
		return caller{}, denial.problem()
	}
	return who, nil
}

// placesOfKeys are parameters in which other APIs take a key.
var placesOfKeys = []string{"access_token", "api_key", "apikey", "api-key", "authorization", "bearer", "client_key", "key", "secret", "token"}

// misplaced refuses a key in the URL, the right one too: what works stays, and
// URLs are kept in logs, in histories and by proxies.
func misplaced(r *http.Request) *problem {
	if r.URL.RawQuery == "" {
		return nil
	}
	for name, values := range r.URL.Query() {
		if slices.Contains(placesOfKeys, strings.ToLower(name)) || slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, config.KeyPrefix) }) {
			return newProblem("misplaced-key", http.StatusBadRequest, "the key is in the wrong place",
				"send it in the header Authorization: Bearer KEY; if a true key was in this URL, make a new one, because logs may have kept it")
		}
	}
	return nil
}

func (d *denial) problem() *problem {
	switch d.reason {
	case tooQuickly:
		p := newProblem("rate", http.StatusTooManyRequests, "too many requests", "this client sends more requests than its rate allows: keep the token until expires_in has passed, or raise rate in the config")
		p.retryAfter = d.after
		return p
	case wrongKeys:
		p := newProblem("wrong-keys", http.StatusTooManyRequests, "too many wrong keys", "your address has sent many wrong keys: use the key that mintonce client has printed, or make another; a right one is served at once")
		p.retryAfter = d.after
		return p
	}
	title, detail := "a key is needed", "send the header Authorization: Bearer KEY with the key of a client of this server"
	if d.reason == wrongKey {
		title, detail = "this key is not known", "send a key that mintonce client has printed, and whose hash stands under clients in the config of this server"
	}
	p := newProblem("unauthorized", http.StatusUnauthorized, title, "%s", detail)
	p.header = [2]string{"WWW-Authenticate", `Bearer realm="mintonce"`}
	return p
}
