package coordinator_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// idleStore is a Store that New must not call.
type idleStore struct{ coordinator.Store }

// idleSource is a Source that New must not call to mint.
type idleSource struct{}

func (idleSource) Mint(context.Context, coordinator.Token) (coordinator.Token, error) {
	panic("minted while being constructed")
}
func (idleSource) Traits() coordinator.Traits { return coordinator.Traits{} }

func TestConfigBounds(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		field         string
		set           func(*coordinator.Config, time.Duration)
		low, high     time.Duration // the bounds, allowed themselves
		zero, negated bool          // whether 0 and -1 are allowed
	}{
		{"MintTimeout", func(c *coordinator.Config, d time.Duration) { c.MintTimeout = d }, ms, time.Minute, true, false},
		{"Lease", func(c *coordinator.Config, d time.Duration) { c.Lease, c.StoreTimeout = d, 20*ms }, time.Second, time.Minute, true, false},
		{"StoreTimeout", func(c *coordinator.Config, d time.Duration) { c.StoreTimeout = d }, 10 * ms, 3*time.Second - 1, true, false},
		{"MinimumAge", func(c *coordinator.Config, d time.Duration) { c.MinimumAge = d }, 1, time.Hour, true, true},
		{"BackoffMin", func(c *coordinator.Config, d time.Duration) { c.BackoffMin, c.BackoffMax = d, 24*time.Hour }, 10 * ms, time.Hour, true, false},
		{"BackoffMax", func(c *coordinator.Config, d time.Duration) { c.BackoffMax = d }, time.Second, 24 * time.Hour, true, false},
		{"MaxWait", func(c *coordinator.Config, d time.Duration) { c.MaxWait = d }, ms, 24 * time.Hour, true, false},
		{"Recheck", func(c *coordinator.Config, d time.Duration) { c.Recheck = d }, time.Second, time.Hour, true, false},
	}
	for _, test := range tests {
		t.Run(test.field, func(t *testing.T) {
			values := []struct {
				value time.Duration
				ok    bool
			}{{0, test.zero}, {-1, test.negated}, {test.low - 1, test.low == 1}, {test.low, true}, {test.high, true}, {test.high + 1, false}}
			for _, v := range values {
				var config coordinator.Config
				test.set(&config, v.value)
				_, err := coordinator.New("shop", idleSource{}, idleStore{}, config)
				if (err == nil) != v.ok {
					t.Errorf("%v: %v, want accepted: %v", v.value, err, v.ok)
				}
				if err != nil && !strings.Contains(err.Error(), "Config."+test.field+" ") {
					t.Errorf("%v: %v: does not name the field", v.value, err)
				}
			}
		})
	}
}

// TestEachDocumentedValueWorksAlone: a field that is set to a value of its
// documented range must not collide with the default of another one.
func TestEachDocumentedValueWorksAlone(t *testing.T) {
	for name, config := range map[string]coordinator.Config{
		"nothing set":        {},
		"shortest Lease":     {Lease: time.Second},
		"longest BackoffMin": {BackoffMin: time.Hour},
	} {
		if _, err := coordinator.New("shop", idleSource{}, idleStore{}, config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigInstance(t *testing.T) {
	for instance, ok := range map[string]bool{
		"": true, "host-1": true, strings.Repeat("x", 64): true,
		strings.Repeat("x", 65): false, "two words": false, "tab\t": false, "line\n": false, "höst": false, "del\x7f": false, "\xff": false,
	} {
		c, err := coordinator.New("shop", idleSource{}, idleStore{}, coordinator.Config{Instance: instance})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "Config.Instance") {
			t.Errorf("%q: %v, want accepted: %v", instance, err, ok)
		}
		if err == nil && (c.Instance() == "" || instance != "" && c.Instance() != instance) {
			t.Errorf("%q became %q", instance, c.Instance())
		}
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	tests := []struct {
		name   string
		source coordinator.Source
		store  coordinator.Store
		config coordinator.Config
		ok     bool
	}{
		{"shop", idleSource{}, idleStore{}, coordinator.Config{}, true},
		{"shop", nil, idleStore{}, coordinator.Config{NeverMint: true}, true},
		{"shop", nil, idleStore{}, coordinator.Config{}, false},
		{"shop", idleSource{}, nil, coordinator.Config{}, false},
	}
	for _, test := range tests {
		if _, err := coordinator.New(test.name, test.source, test.store, test.config); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
	}
	for name, ok := range map[string]bool{
		"shop": true, "A.b_c-9": true, strings.Repeat("x", 64): true, "...": true,
		"": false, ".": false, "..": false, strings.Repeat("x", 65): false, "a/b": false, "a b": false, "{shop}": false, "shop\n": false, "店": false,
	} {
		_, err := coordinator.New(name, idleSource{}, idleStore{}, coordinator.Config{})
		if (err == nil) != ok || err != nil && !errors.Is(err, coordinator.ErrBadName) {
			t.Errorf("name %q: %v, want accepted: %v", name, err, ok)
		}
	}
}
