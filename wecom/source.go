package wecom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

const (
	// askWithin is the last part of a token's life in which it is asked for
	// again. WeCom gives out the next one only when it has ended.
	askWithin = 30 * time.Minute
	// beijing is where WeCom's day begins.
	beijing = 8 * time.Hour
)

// AppToken gets the access token of one app at /cgi-bin/gettoken. It is a
// [coordinator.Source], safe for concurrent use. It prints without its secret.
//
// WeCom gives the same token to everybody who asks while it is valid, and says
// that 7200 s are left, whatever its age. So a token that was not seen to come
// gets half of that, it is asked for again from half an hour before its end on,
// some eight times for each token, and being given out again does not prolong it
// beyond ten minutes. WeCom may also end a token early; only a report tells.
//
// https://developer.work.weixin.qq.com/document/path/91039
// https://developer.work.weixin.qq.com/document/path/97164
type AppToken struct {
	corpID  string
	agentID string
	secret  string
	client  *tencent.Client
	err     error // what is wrong with the configuration, if anything
}

// NewAppToken returns the source for one app of a corp. agentID is not sent: it
// tells the corp's apps apart, which have a token each. A mistake in the
// arguments is reported by Check, and by every Mint.
func NewAppToken(corpID, agentID, secret string, cfg Config) *AppToken {
	a := &AppToken{corpID: corpID, agentID: agentID, secret: secret}
	if a.err = checkApp(corpID, agentID, secret); a.err == nil {
		a.client, a.err = tokenCalls.Client(tencent.Config(cfg))
	}
	return a
}

// Check returns what is wrong with the ids, the secret or the Config, or nil.
func (a *AppToken) Check() error {
	if a.err != nil {
		return fmt.Errorf("wecom: %w", a.err)
	}
	return nil
}

// Traits tells how gettoken behaves. Its limits of 10,000 calls a minute and
// 150,000 an hour for a corp are out of a coordinator's reach, so they are no
// limit here.
//
// https://developer.work.weixin.qq.com/document/path/90454
func (a *AppToken) Traits() coordinator.Traits {
	return coordinator.Traits{
		Kind:         coordinator.Idempotent,
		Credential:   a.credential(),
		RenewsWithin: askWithin,
		DayOffset:    beijing,
	}
}

// credential identifies the app and its secret without revealing it.
func (a *AppToken) credential() string {
	sum := sha256.Sum256([]byte("mintonce wecom credential\x00" + a.corpID + "\x00" + a.agentID + "\x00" + a.secret))
	return "wecom:" + a.corpID + "/" + a.agentID + "#" + hex.EncodeToString(sum[:8])
}

// Mint asks for the token, with one request. Its errors are of type
// *coordinator.SourceError.
func (a *AppToken) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	if a.err != nil {
		return coordinator.Token{}, tokenCalls.Misconfigured(a.err)
	}
	asked := time.Now()
	token, err := a.client.Get(ctx, "cgi-bin/gettoken", url.Values{"corpid": {a.corpID}, "corpsecret": {a.secret}}, a.secret)
	if err != nil {
		return coordinator.Token{}, err
	}
	return coordinator.NewToken(token.Value, tencent.TrueEnd(token, prev, asked)), nil
}

// String names the app, without its secret.
func (a *AppToken) String() string { return "wecom app " + a.corpID + "/" + a.agentID }

// Format makes every verb of package fmt print String.
func (a *AppToken) Format(f fmt.State, _ rune) { fmt.Fprint(f, a.String()) }

// LogValue makes package log/slog print String.
func (a *AppToken) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText makes encoding/json and its like print String.
func (a *AppToken) MarshalText() ([]byte, error) { return []byte(a.String()), nil }
