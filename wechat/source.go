package wechat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// What WeChat says about its tokens.
// https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken
// https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken
const (
	// overlap: during a refresh "both new and old access_token values are
	// available within five minutes".
	overlap = 5 * time.Minute
	// dailyMints stays below the 2,000 a day of a new account, so that other
	// programs and a person at the console have some left.
	// https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html
	dailyMints = 1800
	// dailyRotations stays below the 20 forced refreshes a day.
	dailyRotations = 18
	// What to do about a stranger. Tokens of the two endpoints are completely
	// isolated from each other.
	foreignClassic = "use mode stable, whose tokens no mint at /cgi-bin/token ends; let all environments of this account share one coordinator; " +
		"if none of yours mints, somebody has the AppSecret: reset it in WeChat's console"
	foreignStable = "find who calls stable_token with force_refresh, and turn that off; let all environments of this account share one coordinator; " +
		"if none of yours does, somebody has the AppSecret: reset it in WeChat's console"
	// rotationSpacing: forced refreshes in quicker succession do not refresh.
	rotationSpacing = 30 * time.Second
	// beijing is where WeChat's day begins.
	beijing = 8 * time.Hour
)

// account is what both sources have in common. It is safe for concurrent use.
type account struct {
	appID  string
	secret string
	client *tencent.Client
	err    error // what is wrong with the configuration, if anything
}

func newAccount(appID, secret string, cfg Config) *account {
	a := &account{appID: appID, secret: secret}
	if a.err = checkAccount(appID, secret); a.err != nil {
		return a
	}
	a.client, a.err = tokenCalls.Client(tencent.Config(cfg))
	return a
}

// Check returns what is wrong with the AppID, the AppSecret or the Config, or
// nil. Minting with a wrong configuration fails with the same text.
func (a *account) Check() error {
	if a.err != nil {
		return fmt.Errorf("wechat: %w", a.err)
	}
	return nil
}

// credential identifies the account and its secret without revealing it.
func (a *account) credential() string {
	sum := sha256.Sum256([]byte("mintonce wechat credential\x00" + a.appID + "\x00" + a.secret))
	return "wechat:" + a.appID + "#" + hex.EncodeToString(sum[:8])
}

// String names the account, without its secret.
func (a *account) String() string { return "wechat account " + a.appID }

// Format makes every verb of package fmt print String.
func (a *account) Format(f fmt.State, _ rune) { fmt.Fprint(f, a.String()) }

// LogValue makes package log/slog print String.
func (a *account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText makes encoding/json and its like print String.
func (a *account) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// ClassicToken mints at /cgi-bin/token, where each mint issues a new token and
// ends the one before it after five minutes. It is a [coordinator.Source],
// safe for concurrent use. It prints without its secret.
//
// https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken
type ClassicToken struct{ *account }

// NewClassicToken returns the source for one account. A mistake in its
// arguments is reported by Check, and by every Mint.
func NewClassicToken(appID, secret string, cfg Config) ClassicToken {
	return ClassicToken{newAccount(appID, secret, cfg)}
}

// Traits tells how /cgi-bin/token behaves.
func (s ClassicToken) Traits() coordinator.Traits {
	return coordinator.Traits{
		Kind:            coordinator.LastMintWins,
		Credential:      s.credential(),
		Overlap:         overlap,
		DailyMints:      dailyMints,
		ForeignAdvice:   foreignClassic,
		RotationSpacing: rotationSpacing,
		DayOffset:       beijing,
	}
}

// Mint asks for a new token, with one request. Its errors are of type
// *coordinator.SourceError.
func (s ClassicToken) Mint(ctx context.Context, _ coordinator.Token) (coordinator.Token, error) {
	return s.classic(ctx)
}

// StableToken mints at /cgi-bin/stable_token, which gives out the same token
// until its last five minutes. It is a [coordinator.Source] and a
// [coordinator.Rotator], safe for concurrent use. It prints without its secret.
//
// https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken
type StableToken struct{ *account }

// NewStableToken returns the source for one account. A mistake in its
// arguments is reported by Check, and by every Mint.
func NewStableToken(appID, secret string, cfg Config) StableToken {
	return StableToken{newAccount(appID, secret, cfg)}
}

// Traits tells how /cgi-bin/stable_token behaves. Its 10,000 calls a minute and
// 500,000 a day are out of a coordinator's reach, so they are no limit here.
func (s StableToken) Traits() coordinator.Traits {
	return coordinator.Traits{
		Kind:            coordinator.Idempotent,
		Credential:      s.credential(),
		Overlap:         overlap,
		RenewsWithin:    5 * time.Minute,
		DailyRotations:  dailyRotations,
		ForeignAdvice:   foreignStable,
		RotationSpacing: rotationSpacing,
		DayOffset:       beijing,
	}
}

// Mint asks for the token, in normal mode: a valid one comes back as it is,
// with the time that it has left. Its errors are of type
// *coordinator.SourceError.
func (s StableToken) Mint(ctx context.Context, _ coordinator.Token) (coordinator.Token, error) {
	return s.stable(ctx, false)
}

// Rotate forces a new token. WeChat does that 20 times a day, and gives the
// current token again when the last time is less than 30 seconds ago: compare
// the values. It is for a person to call, after a leak; a second rotation, 30
// seconds later, ends the leaked token at once.
func (s StableToken) Rotate(ctx context.Context, _ coordinator.Token) (coordinator.Token, error) {
	return s.stable(ctx, true)
}
