package wechatapi

import (
	"hash/fnv"
	"net"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
)

// keeper is a Credential that knows until when its token can be kept by those
// who are told nothing more. *coordinator.Coordinator is one.
type keeper interface {
	KeepUntil(coordinator.Token) time.Time
}

// widest and share bound what is taken off the life of a token: at most the
// one, and at most that part of it.
const (
	widest = time.Minute
	share  = 20
)

// lifeOf is for how long a client may keep the token. spread is between 0 and
// 1.
func lifeOf(credential Credential, token coordinator.Token, spread float64) time.Duration {
	end := token.ExpiresAt()
	if k, ok := credential.(keeper); ok {
		end = k.KeepUntil(token)
	}
	left := time.Until(end)
	return left - time.Duration(spread*float64(min(widest, left/share)))
}

// seconds rounds down. It never returns 0 or less for a token that was served:
// some caches take that for "for ever".
func seconds(life time.Duration) int64 { return max(1, int64(life/time.Second)) }

// spreadOf is a number from 0 to 1 that is the same whenever the same client
// asks from the same address.
func spreadOf(client, remote string) float64 {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	hash := fnv.New32a()
	hash.Write([]byte(client + "\x00" + host))
	x := hash.Sum32()
	x ^= x >> 16 // FNV leaves the high bits of short texts too much alike
	x *= 0x45d9f3b
	x ^= x >> 16
	return float64(x) / (1 << 32)
}

// marginOf is what the SDK of this client subtracts from expires_in.
func marginOf(client *config.Client) time.Duration {
	if client == nil {
		return 0
	}
	return time.Duration(client.SDKMargin * float64(time.Second))
}
