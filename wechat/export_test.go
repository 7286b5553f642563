package wechat

import (
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// Invariants that hostile input must not break are tested without a network.

func ParseReply(status int, body []byte, secret string) (token string, lifetime time.Duration, failure *coordinator.SourceError) {
	return tokenCalls.Parse(status, body, secret)
}

func Codes() []int {
	var codes []int
	for code := range meanings {
		codes = append(codes, code)
	}
	return codes
}

const (
	ReplyLimit  = tencent.ReplyLimit
	PeekLimit   = tencent.PeekLimit
	ReplayLimit = tencent.ReplayLimit
)
