package coordinator

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Config tunes a Coordinator. The zero value works. A duration of 0 means the
// default; only where a comment says so, a negative one means none.
type Config struct {
	// Instance names this process in records, locks and history. Default:
	// the host's name and the process id. At most 64 bytes, of printable ASCII
	// without spaces.
	Instance string

	// NeverMint makes the coordinator a reader: it waits for a refresher and
	// never calls the Source, which may then be nil.
	NeverMint bool

	// MintTimeout bounds one call of the Source. Default 8 s, at most 60 s.
	MintTimeout time.Duration

	// Lease is how long a lock outlives its holder's last renewal, on stores
	// whose locks lapse. Short is good: after a crash, nobody mints for that
	// long. Default 3 s; 1 s to 60 s.
	Lease time.Duration

	// StoreTimeout bounds one call of the Store. It must be below Lease, so
	// that a hung store is noticed while the lease is still held. Default 1 s,
	// or half of Lease if that is shorter.
	StoreTimeout time.Duration

	// MinimumAge is how old a token must be before a report that the provider
	// rejected it is acted on: a storm of rejections after a mint must not
	// cause another. Default 30 s; negative means none.
	MinimumAge time.Duration

	// BackoffMin and BackoffMax bound the wait after a failed mint, which
	// doubles from one to the other with every failure and is shared by all
	// processes. Defaults 1 s and 60 s.
	BackoffMin, BackoffMax time.Duration

	// MaxWait bounds how long Token, Report and Rotate wait where their own
	// context does not. Default 30 s.
	MaxWait time.Duration

	// Recheck is how often Token looks at the store in the background while
	// Run is not active. It bounds how late a replica without Run learns of a
	// rotation. Default 30 s, well inside WeChat's overlap of 5 minutes.
	Recheck time.Duration

	// Fallback, if set, keeps a last-known-good copy of the record, usually in
	// a file of this machine. It serves while Store is away, after a restart
	// too, and is where a minted token goes first when Store does not answer. A
	// copy that cannot be read when the process starts is read before it is
	// written over, for it may have what Store has lost.
	Fallback Store

	// Observer, if set, is told of every event. It is called from several
	// goroutines and must not block.
	Observer func(Event)
}

// deadlineSlack is what an attempt has beyond MintTimeout for its commit.
const deadlineSlack = 2 * time.Second

// withDefaults returns c with defaults filled in, or an error that names the
// field and its bound.
func (c Config) withDefaults() (Config, error) {
	if c.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.Instance = instanceOf(host, os.Getpid())
	}
	c.MintTimeout = orDefault(c.MintTimeout, 8*time.Second)
	c.Lease = orDefault(c.Lease, 3*time.Second)
	c.StoreTimeout = orDefault(c.StoreTimeout, min(time.Second, c.Lease/2))
	c.MinimumAge = max(0, orDefault(c.MinimumAge, 30*time.Second))
	c.BackoffMin = orDefault(c.BackoffMin, time.Second)
	c.BackoffMax = orDefault(c.BackoffMax, max(60*time.Second, c.BackoffMin))
	c.MaxWait = orDefault(c.MaxWait, 30*time.Second)
	c.Recheck = orDefault(c.Recheck, 30*time.Second)
	return c, c.check()
}

// instanceOf makes an Instance of a host name, which may hold anything.
func instanceOf(host string, pid int) string {
	host = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, host)
	return fmt.Sprintf("%.50s-%d", host, pid)
}

func orDefault(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}

func (c Config) check() error {
	for _, r := range c.Instance {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("mintonce: Config.Instance %q: has a character that is not printable ASCII, or a space", c.Instance)
		}
	}
	if len(c.Instance) > 64 {
		return fmt.Errorf("mintonce: Config.Instance has %d bytes: at most 64", len(c.Instance))
	}
	bounds := []struct {
		field          string
		value, low, up time.Duration
	}{
		{"MintTimeout", c.MintTimeout, time.Millisecond, time.Minute},
		{"Lease", c.Lease, time.Second, time.Minute},
		{"StoreTimeout", c.StoreTimeout, 10 * time.Millisecond, c.Lease - 1},
		{"MinimumAge", c.MinimumAge, 0, time.Hour},
		{"BackoffMin", c.BackoffMin, 10 * time.Millisecond, time.Hour},
		{"BackoffMax", c.BackoffMax, c.BackoffMin, 24 * time.Hour},
		{"MaxWait", c.MaxWait, time.Millisecond, 24 * time.Hour},
		{"Recheck", c.Recheck, time.Second, time.Hour},
	}
	for _, b := range bounds {
		if b.value < b.low || b.value > b.up {
			return fmt.Errorf("mintonce: Config.%s is %s: it must be from %s to %s", b.field, b.value, b.low, b.up)
		}
	}
	return nil
}
