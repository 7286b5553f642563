package wechatapi

import (
	"crypto/subtle"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// recent is a Credential that knows which tokens are accepted.
// *coordinator.Coordinator is one.
type recent interface {
	Accepted() (current, previous string) // fingerprints
}

// index finds the account of an access token by its fingerprint. Those are
// parts of hashes, so that how long a look-up takes tells nothing of a token.
type index struct {
	mu            sync.Mutex // guards all below
	made          time.Time
	took          time.Duration
	byFingerprint map[string]owner
}

// owner is a token of an account.
type owner struct{ appID, name string }

// idle is how much longer than the making of an index took it is used at
// least, so that tokens which are in none, and which anybody can send, cost
// little.
const idle = 20

// owner returns the AppID whose access token this is, now or until the end of
// the overlap.
func (x *index) owner(h *Handler, value string) (appID string, found bool) {
	fingerprint := coordinator.Fingerprint(value)
	x.mu.Lock()
	defer x.mu.Unlock()
	o, ok := x.byFingerprint[fingerprint]
	if !ok && time.Since(x.made) >= idle*x.took {
		x.make(h)
		o, ok = x.byFingerprint[fingerprint]
	}
	if !ok {
		return "", false
	}
	current, previous := accepted(h.credential(o.name))
	good := subtle.ConstantTimeCompare([]byte(fingerprint), []byte(current)) | subtle.ConstantTimeCompare([]byte(fingerprint), []byte(previous))
	return o.appID, good == 1
}

// make reads the tokens of all accounts. The caller holds mu.
func (x *index) make(h *Handler) {
	began := time.Now()
	x.byFingerprint = make(map[string]owner, len(h.Accounts))
	for appID, accounts := range h.Accounts {
		for _, a := range accounts {
			current, previous := accepted(h.credential(a.Name))
			for _, fingerprint := range []string{current, previous} {
				if fingerprint != "" {
					x.byFingerprint[fingerprint] = owner{appID, a.Name}
				}
			}
		}
	}
	x.made = time.Now()
	x.took = x.made.Sub(began)
}

// accepted returns the fingerprints of the tokens of a credential, which may be
// nil.
func accepted(credential Credential) (current, previous string) {
	if r, ok := credential.(recent); ok {
		return r.Accepted()
	}
	if credential == nil {
		return "", ""
	}
	token, err := credential.Peek()
	if err != nil {
		return "", ""
	}
	return token.Fingerprint(), ""
}
