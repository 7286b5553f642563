package wechat

import (
	"context"
	"time"

	"github.com/mintonce/mintonce/internal/tencent"
)

// Probe finds out whether WeChat accepts an access token. It is for those who
// hear that a token was rejected, and not which one. It is safe for concurrent
// use.
type Probe struct{ client *tencent.Client }

// probeLimit bounds a probe whose caller set no bound.
const probeLimit = 10 * time.Second

// NewProbe returns a Probe of the API of cfg, or what is wrong with cfg. Probes
// and sources of equal configuration share what they can.
func NewProbe(cfg Config) (*Probe, error) {
	client, err := tokenCalls.Client(tencent.Config(cfg))
	if err != nil {
		return nil, err
	}
	return &Probe{client}, nil
}

// Try makes the cheapest call that there is, for the addresses of WeChat's own
// servers, with the token. It returns nil if WeChat accepts it, a
// *coordinator.RejectedError if it refuses exactly this token, see IsRejected,
// and another error if that is not known. The errors hold no token.
//
// https://developers.weixin.qq.com/doc/service/api/base/api_getapidomainip
func (p *Probe) Try(ctx context.Context, token string) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return p.client.Probe(ctx, "cgi-bin/get_api_domain_ip", token, IsRejected)
}
