package wecom

import (
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// IsRejected reports whether an errcode of an ordinary API call says that the
// access token is no longer accepted, so that another one may help: 40014
// (invalid) and 42001 (expired). Both are seen for an expired token. 40001 is
// none of them: it blames a secret.
//
// https://developer.work.weixin.qq.com/document/path/90313
func IsRejected(errcode int) bool { return errcode == 40014 || errcode == 42001 }

// meaning is a tencent.Meaning whose fields go without names in a table.
type meaning tencent.Meaning

func meaningOf(code int) (tencent.Meaning, bool) {
	m, known := meanings[code]
	return tencent.Meaning(m), known
}

// meanings holds every code that is known of /cgi-bin/gettoken.
//
//   - https://developer.work.weixin.qq.com/document/path/90313 for the codes
//     that all APIs share
//   - https://developer.work.weixin.qq.com/document/path/90454 for the limits,
//     and the minute and the hour for which they block
//   - https://developer.work.weixin.qq.com/document/path/90475 for 60020
//
// The waits, other than those of 45009, are advice of this package.
var meanings = map[int]meaning{
	-1: {coordinator.Transient, 0,
		"WeCom is busy", "nothing to do; it is tried again"},

	40001: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the secret is wrong or belongs to another app or corp", "check CorpID and secret; the secret may have been reset in WeCom's console"},
	40013: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the CorpID does not exist", "check the CorpID, under My Company in WeCom's console"},
	40091: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the secret is wrong", "check the secret; it may have been reset in WeCom's console"},
	41002: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the CorpID did not reach WeCom", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},
	41004: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the secret did not reach WeCom", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},

	48002: {coordinator.Operator, 10 * time.Minute,
		"the secret has no permission to get a token", "check the app's permissions in WeCom's console"},
	50003: {coordinator.Operator, 10 * time.Minute,
		"the app is disabled", "enable it in WeCom's console"},
	60020: {coordinator.Operator, 3 * time.Minute,
		"this machine's address is not on the list of trusted addresses", "add the address to the app's trusted addresses (企业可信IP) in WeCom's console"},
	301002: {coordinator.Operator, 10 * time.Minute,
		"the secret has no permission for this app", "check that the secret is the app's own"},

	45009: {coordinator.Quota, time.Minute,
		"too many calls, for which WeCom blocks this corp or this address for a minute or an hour", "find out who else calls with this corp or from this address"},
	45033: {coordinator.Quota, 10 * time.Second,
		"too many calls at the same time", "find out who else calls with this corp"},
}
