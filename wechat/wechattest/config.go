package wechattest

import "time"

// The app that a fake has if Config.Apps names none.
const (
	AppID  = "wx00000000sandbox0"
	Secret = "sandbox-secret-0123456789abcdef"
)

// Config tunes a Fake. The zero value is one app at a WeChat that behaves as
// documented. Durations and numbers of 0 mean the default; -1 means none.
type Config struct {
	// Apps are the accounts. Default: one with AppID and Secret.
	Apps []App
	// CorpApps are the apps at WeCom, which is faked beside WeChat. Default:
	// none.
	CorpApps []CorpApp

	// Lifetime is how long a token lives, in whole seconds. Default 2 h.
	Lifetime time.Duration
	// TicketLifetime is how long a jsapi or wx_card ticket lives. Default 2 h;
	// whatever it is, and whatever is left of it, the answer says 7200.
	TicketLifetime time.Duration
	// Overlap is how long the token before lives on after a mint. Default
	// 5 min.
	Overlap time.Duration
	// RenewsWithin is the last part of a stable token's life, in which the
	// next one is given out. Default 5 min.
	RenewsWithin time.Duration
	// ForceSpacing is the shortest time between two forced refreshes; a call
	// that comes earlier gets the current token. Default 30 s.
	ForceSpacing time.Duration

	// ClassicPerDay limits the mints at /cgi-bin/token. Default 2,000.
	ClassicPerDay int
	// ForcedPerDay limits the forced refreshes. Default 20.
	ForcedPerDay int
	// StablePerMinute and StablePerDay limit the calls of
	// /cgi-bin/stable_token. Defaults 10,000 and 500,000.
	StablePerMinute, StablePerDay int

	// Now is the clock. Default: time.Now. The delays of faults run on real
	// timers all the same.
	Now func() time.Time
	// Observe, if set, is told of every event as it happens. It is called from
	// several goroutines, and may call the Fake.
	Observe func(Event)
}

// App is an account.
type App struct{ ID, Secret string }

func (c Config) withDefaults() Config {
	if len(c.Apps) == 0 {
		c.Apps = []App{{ID: AppID, Secret: Secret}}
	}
	c.Lifetime = max(time.Second, orDefault(c.Lifetime, 2*time.Hour))
	c.TicketLifetime = max(time.Second, orDefault(c.TicketLifetime, 2*time.Hour))
	c.Overlap = orDefault(c.Overlap, 5*time.Minute)
	c.RenewsWithin = orDefault(c.RenewsWithin, 5*time.Minute)
	c.ForceSpacing = orDefault(c.ForceSpacing, 30*time.Second)
	c.ClassicPerDay = orDefault(c.ClassicPerDay, 2000)
	c.ForcedPerDay = orDefault(c.ForcedPerDay, 20)
	c.StablePerMinute = orDefault(c.StablePerMinute, 10_000)
	c.StablePerDay = orDefault(c.StablePerDay, 500_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// orDefault returns the default for 0 and 0 for what is negative.
func orDefault[T ~int | ~int64](value, standard T) T {
	if value == 0 {
		return standard
	}
	return max(0, value)
}
