package tencent

import (
	"crypto/x509"
	"runtime"
	"sync"
	"weak"
)

// wireKey is what equal wires have in common. A Dial cannot be compared, so
// with one each source has a wire of its own.
type wireKey struct {
	base  string
	roots *x509.CertPool
}

// wires are those in use. A platform has a hundred thousand accounts, and an
// http.Transport with all that it holds would be most of their memory.
var wires = struct {
	sync.Mutex
	shared map[wireKey]weak.Pointer[wire]
}{shared: make(map[wireKey]weak.Pointer[wire])}

// wireFor returns the wire of this Config, the same for equal ones, or what is
// wrong with it. A wire ends with the last source that uses it.
func (s *Service) wireFor(cfg Config) (*wire, error) {
	base, err := s.base(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Dial != nil {
		return newWire(cfg, base), nil
	}
	key := wireKey{base.String(), cfg.RootCAs}
	wires.Lock()
	defer wires.Unlock()
	if w := wires.shared[key].Value(); w != nil {
		return w, nil
	}
	w := newWire(cfg, base)
	mine := weak.Make(w)
	wires.shared[key] = mine
	runtime.AddCleanup(w, func(key wireKey) {
		wires.Lock()
		defer wires.Unlock()
		if wires.shared[key] == mine { // and not that of a successor
			delete(wires.shared, key)
		}
	}, key)
	return w, nil
}
